"""The models of the task: their rows, params, and checks of what is stored."""
