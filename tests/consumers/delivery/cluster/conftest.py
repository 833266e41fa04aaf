"""The store is a cluster of three real servers."""

from tests.consumers.state.cluster.conftest import nodes, store

__all__ = ["nodes", "store"]
