"""Synthetic site-years and their exact Bayes accuracy."""
