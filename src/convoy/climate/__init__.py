"""What a grid means: synthesis, baselines, networks, skill."""
