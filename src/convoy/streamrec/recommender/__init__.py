"""The recommender: clicks and retrieval with each representation of the items."""
