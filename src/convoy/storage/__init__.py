"""What lies on disk: the only modules that read or write files."""
