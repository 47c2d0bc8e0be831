"""The `convoy` command, one module per group of subcommands."""
