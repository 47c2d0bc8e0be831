"""Networks: layers, blocks and the mathematics of convolution."""
