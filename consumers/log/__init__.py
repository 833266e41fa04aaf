"""The one log: a port (`port`), who goes to which partition (`partition`), and Redis Streams behind it."""
