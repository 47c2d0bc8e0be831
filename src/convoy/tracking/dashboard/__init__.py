"""MLflow's pages of the store: server, texts, pictures and saved views."""
