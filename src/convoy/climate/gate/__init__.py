"""Quality rules of the grids."""
