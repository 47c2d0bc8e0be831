"""Fit and predict of the networks."""
