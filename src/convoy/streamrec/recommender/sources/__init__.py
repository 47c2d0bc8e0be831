"""Sources of interactions: drawn ones, and files, which are cleaned and split by time."""
