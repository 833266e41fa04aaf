"""What a segment sets off: its actions as targets of deliveries."""
