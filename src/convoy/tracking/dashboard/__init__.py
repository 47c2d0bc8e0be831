"""What a person sees of the store: MLflow's pages, their texts, pictures and saved views."""
