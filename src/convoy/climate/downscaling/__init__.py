"""From coarse days to fine fields: rivals, networks, and somebody's own file."""
