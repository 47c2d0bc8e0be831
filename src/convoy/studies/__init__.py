"""Studies of convolutional networks, on demand: each ends in one table and one picture."""
