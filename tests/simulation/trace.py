"""What happened, line by line: hashed always (the same seed gives the same hash), printed when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Trace:
    """`seconds` gives the virtual time. With `tell`, every line goes there too."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._hash = hashlib.blake2b(digest_size=8)
        self._tell = tell
        self.seconds: Callable[[], float] = lambda: 0.0

    def note(self, *words: object) -> None:
        line = f"{self.seconds():9.4f}  " + " ".join(map(str, words))
        self._hash.update(line.encode())
        if self._tell is not None:
            self._tell(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
