"""Site series: the climate regime of a site from one year of daily weather."""
