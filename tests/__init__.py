"""Tests mirror the code they test; `tests/fundamentals` is the part to read first."""
