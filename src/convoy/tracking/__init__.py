"""Tracking: DVC's outputs as runs and models in MLflow, and decisions about them."""
