"""What a grid means: synthesis, rivals, networks, skill."""
