"""Metrics of one model, and scores of its explanations."""
