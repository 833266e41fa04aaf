"""Structured logs: one line an event, JSON for machines or colours for people, and no personal data in either.

What is logged is named where it is logged; a customer's id, properties, tokens and query strings are never passed. As
a second fence, values under the names below are dropped, and exceptions are told by type and place, without their text.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

PRIVATE = frozenset(
    ("customer", "customer_id", "customers", "properties", "token", "authorization", "query", "body", "event_id", "url")
)
_FRAMES_MAX = 12
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Sets up logging for the process: structlog's own and what libraries say through `logging`.

    `form`: `json`, `console`, or `auto` (console on a terminal).
    """
    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_private,
        _told_exception,
    ]
    render: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    _quieten()


def _quieten() -> None:
    """The server's access log would tell paths with customers in them; `service.edge` writes its own."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = name != "uvicorn.access"
    for name in ("uvicorn.error", "asyncio", "httpx2", "httpcore2", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(name))


def _without_private(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in PRIVATE.intersection(line):
        del line[key]
    return line


def _told_exception(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` as the type and the places it passed, without the message: messages quote what people sent."""
    found = line.pop("exc_info", None)
    if not found:
        return line
    error = found if isinstance(found, BaseException) else None
    if error is None:
        error = found[1] if isinstance(found, tuple) else sys.exc_info()[1]
    if error is not None:
        line["exception"] = _chain(error)
        line["places"] = _places(error.__traceback__)
    return line


def _chain(error: BaseException) -> str:
    names: list[str] = []
    current: BaseException | None = error
    while current is not None and len(names) < _FRAMES_MAX:
        names.append(type(current).__name__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " from ".join(names)


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-_FRAMES_MAX:]
    return [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}" for frame in frames]
