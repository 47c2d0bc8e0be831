"""A stored model applied to files: `convoy downscale`."""
