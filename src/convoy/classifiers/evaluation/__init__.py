"""Metrics, predictions and pictures of one model."""
