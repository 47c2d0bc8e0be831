"""Site-years: what they are, and their files."""
