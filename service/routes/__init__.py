"""The HTTP calls, one file for each thing they are about."""
