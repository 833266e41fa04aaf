"""Playing a recorded event file through the rules: no store, no server, event time only."""
