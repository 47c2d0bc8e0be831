"""The one training loop, with its batches, objectives, optimisers, checkpoints and event log."""
