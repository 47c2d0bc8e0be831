"""What is remembered: runs, models and decisions in MLflow, a view of DVC's outputs."""
