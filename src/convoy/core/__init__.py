"""Shared foundations: errors, params, the stage runner, files, statistics."""
