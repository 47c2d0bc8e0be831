"""`convoy lineage`: what an output or a version was made from, with a check of every hash."""
