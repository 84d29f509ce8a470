"""The experiments: what is claimed of the path, each claim with its configuration and one command."""
