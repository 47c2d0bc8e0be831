"""Evaluation of one model on the test sites."""
