"""The catalogue: read, cleaned, labelled and checked."""
