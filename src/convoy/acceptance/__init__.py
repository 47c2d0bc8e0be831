"""Acceptance of a version of embeddings before it is offered: checks, certificate, page."""
