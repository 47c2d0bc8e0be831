"""convoy carries convolutional models from raw data to their consumers."""
