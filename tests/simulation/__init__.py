"""The evaluator, the relay and the intake, unchanged, over a simulated log, store, topic and clock: one seed, one run."""
