"""Downscaling from coarse to fine daily fields: baselines, networks, and their application to files."""
