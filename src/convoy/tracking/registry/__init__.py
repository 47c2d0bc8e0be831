"""Model versions in MLflow's registry: how they are stored, loaded, compared, promoted and rolled back."""
