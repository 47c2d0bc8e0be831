"""Sources of site-years: synthetic sites, and files of stations."""
