"""How any network is fitted: one training loop."""
