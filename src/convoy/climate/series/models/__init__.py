"""The registry of the models of site-years, their baselines and stored folders."""
