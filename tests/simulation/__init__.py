"""The evaluator, the relay and the intake, unchanged, over simulated servers and clocks: one seed, one run."""
