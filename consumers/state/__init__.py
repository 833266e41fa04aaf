"""The state of every partition in Redis: its keys, the commit script, and the reads the API makes."""
