"""Paired comparison of the models, the findings in words, the report."""
