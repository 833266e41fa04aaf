"""The edge and the composition root: HTTP, command line, settings."""
