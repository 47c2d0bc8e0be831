"""Evaluation, comparison and promotion of classifiers, whatever they classify."""
