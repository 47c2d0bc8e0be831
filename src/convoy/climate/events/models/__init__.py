"""Models of this task and checks of their folders."""
