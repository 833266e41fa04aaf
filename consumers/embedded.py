"""The embedded Valkey server: a child process on a data directory, its append-only file synced before every answer."""

from __future__ import annotations

from pathlib import Path

from rules.errors import SegmentdError


class DirectoryInUse(SegmentdError):
    """Another process has the data directory; the message names it."""


class Embedded:
    """`with Embedded(directory) as server: Store.connect(server.url)`. Blocking calls: start it before the loop runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""  # unix:///…, once started

    def start(self) -> None:
        """Take the directory and start the server; raises DirectoryInUse, Unavailable (with the server's own words)."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the server cleanly and give the directory back. Harmless to repeat."""
        raise NotImplementedError

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
