"""Interactions: their form, and their files."""
