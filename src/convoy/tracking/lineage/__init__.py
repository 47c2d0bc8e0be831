"""`convoy lineage`: the inputs of an output or a version, with a check of every hash."""
