"""One owner a partition: the loop that turns records of the log into transitions of the feed."""

from consumers.evaluator.evaluator import Evaluator
from consumers.evaluator.metrics import Metrics, NullMetrics
from consumers.evaluator.settings import Settings

__all__ = ["Evaluator", "Metrics", "NullMetrics", "Settings"]
