"""The representations of items that are compared."""
