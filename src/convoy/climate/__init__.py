"""Climate: grids, the synthetic climate and downscaling."""
