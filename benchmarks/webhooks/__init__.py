"""From an event to its webhook, received: the service against a bare consumer that posts, and who waits for whom."""
