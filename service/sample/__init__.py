"""The sample shop: real events with their licence, segments to watch, and live traffic made of both."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

EXCERPT = "online-retail-small.jsonl.gz"
LIBRARY = ("best-customers", "buyers-abroad", "few-orders-6-months", "new-customers", "no-returns", "spend-1000")
"""Segments of `rules/library` that mean something for the sample shop."""


def excerpt_path() -> Path:
    return Path(str(files(__package__).joinpath(EXCERPT)))


def sample_segments() -> list[Path]:
    """The files of the segments that `up --sample` begins with."""
    return [Path(str(files(__package__).joinpath("segments"))), *library_files(LIBRARY)]


def library_files(names: tuple[str, ...]) -> list[Path]:
    library = Path(str(files("rules").joinpath("library")))
    return [library / f"{name}.yaml" for name in names]


def excerpt() -> Iterator[dict[str, Any]]:
    """The events as they were recorded, in order of time."""
    with gzip.open(excerpt_path()) as lines:
        for line in lines:
            yield orjson.loads(line)
