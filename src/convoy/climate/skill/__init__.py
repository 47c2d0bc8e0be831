"""How good fine fields are, measured on every split."""
