"""The synthetic catalogue, whose best possible accuracy is known exactly."""
