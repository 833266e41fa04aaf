"""Webhook subscriptions by Standard Webhooks 1.0: who wants which transitions, signed, and who wants no more."""
