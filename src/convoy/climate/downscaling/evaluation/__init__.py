"""Errors, skill and maps of one model."""
