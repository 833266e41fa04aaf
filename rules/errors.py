"""Every error of segmentd says whose fault it is and what to do.

SegmentdError
  EventRejected    the sender's: the event goes to the dead letters with `reason`; the stream goes on
  SegmentInvalid   the author's: the document is refused whole, with every mistake located
  Unavailable      nobody's here: wait `retry_after_s` seconds and do it again
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rules.limits import MISTAKES_TOLD_MAX


class SegmentdError(Exception):
    """What the service can say something useful about. Broken invariants are assertions, not these."""


class EventRejected(SegmentdError):
    """One event cannot be taken. `where` is the field (`properties.amount`), "" for the event as a whole."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.where = where


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a document: `at` its path (`enter.all[1].sum.of`, "" for the document as a whole),
    `message` what is wrong and what would be right. `document`: the segment's id where several are checked."""

    at: str
    message: str
    document: str = ""

    def __str__(self) -> str:
        place = f"{self.document}: {self.at}" if self.document and self.at else self.document or self.at
        return f"{place}: {self.message}" if place else self.message


class SegmentInvalid(SegmentdError):
    """A document is refused whole. `mistakes` are the first of them, in the order found; `total` counts all."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        everything = tuple(mistakes)
        assert everything, "a document without a mistake is not invalid"
        self.mistakes = everything[:MISTAKES_TOLD_MAX]
        self.total = len(everything)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes) + self._rest())

    @property
    def told(self) -> int:
        """How many of the `total` mistakes are listed."""
        return len(self.mistakes)

    def _rest(self) -> str:
        return f"\n... and {self.total - self.told} more" if self.total > self.told else ""


class Unavailable(SegmentdError):
    """Something needed is away (`why`); the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, why: str, retry_after_s: float = 1.0) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s
