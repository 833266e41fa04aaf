"""What reads a log: the log itself, the state kept from it, and the evaluator between the two."""
