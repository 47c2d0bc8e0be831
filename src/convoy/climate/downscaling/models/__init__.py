"""The models of the task: their rows, params, baselines, and checks of what is stored."""
