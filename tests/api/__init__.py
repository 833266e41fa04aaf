"""The descriptions in `docs/api`: written out of the code, compared with it, and valid."""
