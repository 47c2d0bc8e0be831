"""Figures and one-page HTML from plain tables."""
