"""What the feed sets off elsewhere: each target's calls in order per customer, retried, isolated from one another."""
