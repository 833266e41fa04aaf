"""The pure core: what a segment means and how a customer's events move them in and out. No I/O, no clock."""
