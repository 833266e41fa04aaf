"""Recordings and how they are played."""
