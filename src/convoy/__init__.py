"""convoy: a pipeline for convolutional models, from raw data to versioned outputs and served models."""
