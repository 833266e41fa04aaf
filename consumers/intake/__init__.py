"""The intake: reads topics that others own, in their own shape, and writes what they say on to the log."""
