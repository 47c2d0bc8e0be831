"""The one training loop, and what a training reads and leaves behind."""
