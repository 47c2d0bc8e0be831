"""The synthetic climate: ground, weather and temperature from one seed, and the floor that they leave."""
