"""Deliveries of a process: webhooks and actions as targets of one worker, which follows the feed for all of them."""

from __future__ import annotations

from consumers.actions.targets import ActionTargets
from consumers.delivery.targets import AllTargets
from consumers.delivery.worker import Worker
from consumers.webhooks.targets import WebhookTargets
from service.subscriptions import webhook_settings
from service.wiring import Services


def make_worker(parts: Services) -> Worker:
    """The worker of this process; several of them, in any number of processes, share the partitions."""
    webhooks = WebhookTargets(
        parts.store, parts.subscriptions, parts.outbound, parts.jobs, settings=webhook_settings(parts.settings)
    )
    actions = ActionTargets(
        parts.store, parts.registry, parts.reads, parts.connectors, parts.jobs, parts.log.partitions
    )
    return Worker(parts.store, parts.log.partitions, AllTargets([webhooks, actions]), metrics=parts.metrics.deliveries)
