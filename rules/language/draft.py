"""A document while it is being read: what is known of it so far, and the mistakes found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules.errors import Mistake
from rules.language import mistakes
from rules.limits import DOCUMENT_DEPTH_MAX, DOCUMENT_NODES_MAX, MISTAKES_TOLD_MAX, PATH_CHARS_MAX


class Draft:
    """Collects every mistake of one document. `timezone`: of its dates; `segment_id`: "" where it is wrong."""

    __slots__ = ("_nodes", "_seen", "mistakes", "segment_id", "timezone")

    def __init__(self, segment_id: str = "", timezone: str = "UTC") -> None:
        self.segment_id = segment_id
        self.timezone = timezone
        self.mistakes: list[Mistake] = []
        self._seen: set[tuple[str, str]] = set()
        self._nodes = 0

    def wrong(self, at: str, message: str | Callable[[], str]) -> None:
        """Notes one mistake, once. A message that has to be looked for is only asked for if it will be told."""
        if not isinstance(message, str):
            message = message() if len(self.mistakes) < MISTAKES_TOLD_MAX else "unknown"
        if (at, message) not in self._seen:
            self._seen.add((at, message))
            self.mistakes.append(Mistake(at, message))

    def open_node(self, at: str, depth: int) -> bool:
        """Counts one condition; False where it stands too deep to be read at all.

        A node is one condition: each `all`, `any`, `none`, `not`, `at_least` and each leaf, in `enter`, `exit` and the
        `unless` of actions together, and each side of a `ratio` or `difference`. The depth of `enter` and `exit`
        themselves is 1, of what stands in their `all` 2, and so on.
        """
        self._nodes += 1
        if self._nodes == DOCUMENT_NODES_MAX + 1:
            self.wrong(at, mistakes.too_many_nodes())
        if depth > DOCUMENT_DEPTH_MAX:
            self.wrong(at, mistakes.too_deep())
            return False
        return True


def join(at: str, key: Any) -> str:
    """The path of a key below another path, short and readable whatever the author wrote there."""
    text = key if isinstance(key, str) else str(key)[:PATH_CHARS_MAX]
    if len(text) > PATH_CHARS_MAX:
        text = text[:PATH_CHARS_MAX] + "…"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return f"{at}.{text}" if at else text
