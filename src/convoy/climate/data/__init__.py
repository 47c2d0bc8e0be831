"""Grids of any source under one convention."""
