"""The synthetic climate: terrain, weather, temperature, and the noise floor."""
