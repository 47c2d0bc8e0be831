"""What the networks are: layers, blocks and the mathematics of convolution."""
