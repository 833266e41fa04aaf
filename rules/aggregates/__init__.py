"""Time series of one customer: what is kept of the events that a feature counts, and how they are folded in."""
