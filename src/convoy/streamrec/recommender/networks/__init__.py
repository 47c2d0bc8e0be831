"""The click model: batches and fit."""
