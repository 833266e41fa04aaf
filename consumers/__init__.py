"""What reads the log: the log itself, the state it becomes, and the evaluator between them."""
