"""`segmentd actions try`: what an action would send for one customer, and, if that is asked for, sends it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.files import segments_alone
from service.cli.output import fail, say
from service.cli.remote import connect


def run_try(
    action: str, customer: str, segments: Sequence[Path], server: str, token: str | None, *, send: bool
) -> None:
    """Exits with 1 if it cannot be put together or was not taken, 2 if it could not be found."""
    segment, _, name = action.partition("/")
    if not segment or not name:
        fail(f"{action}: write the segment and the action, as big-spenders/welcome")
        sys.exit(2)
    asked: dict[str, Any] = {"customer_id": customer, "send": send}
    if segments:
        found = [file for file in segments_alone(segments) if file.segment.id == segment]
        if not found:
            fail(f"no file has the segment {segment}")
            sys.exit(2)
        asked["document"] = found[0].raw
    with connect(server, token) as remote:
        tried = remote.try_action(segment, name, asked)
    _show(tried)
    if tried["wrong"] or (tried["sent"] and tried["sent"]["outcome"] != "done"):
        sys.exit(1)


def _show(tried: Mapping[str, Any]) -> None:
    say(f"{tried['action']}: {tried['use']}", "bold")
    for request in tried["requests"]:
        say(f"{request['method']} {request['url']}")
        for header, value in request["headers"].items():
            say(f"{header}: {value}")
        if request["body"]:
            say(f"\n{request['body']}\n")
    if tried["wrong"]:
        fail(f"it cannot be put together: {tried['wrong']}")
    if tried["held_back"]:
        say(f"right now the action would hold it back: {tried['held_back']}", "yellow")
    sent = tried["sent"]
    if sent is None:
        say("nothing was sent (--send does)")
    elif sent["outcome"] == "done":
        say(f"sent: {sent['detail'] or 'taken'}", "green")
    else:
        fail(f"not taken ({sent['outcome']}): {sent['detail']}")
