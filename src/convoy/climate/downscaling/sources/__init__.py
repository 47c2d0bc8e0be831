"""Sources of pairs of coarse and fine grids: the synthetic climate, and files."""
