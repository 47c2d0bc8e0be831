"""What may pass a gate: the only importer of Great Expectations."""
