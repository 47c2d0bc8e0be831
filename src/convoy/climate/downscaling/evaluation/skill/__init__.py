"""Measures of fine fields."""
