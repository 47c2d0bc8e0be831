"""From coarse days to fine fields: baselines, networks, and somebody's own file."""
