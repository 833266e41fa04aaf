"""The relay: publishes what the outboxes hold to a topic; read-committed readers see each transition once."""
