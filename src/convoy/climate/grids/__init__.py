"""Grids from any source under one convention."""
