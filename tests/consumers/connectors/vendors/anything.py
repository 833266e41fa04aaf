"""Somebody's own address: takes every request, or answers as it is told to."""

from __future__ import annotations

from typing import Any

from tests.consumers.connectors.vendors.serving import Asked, Told, Vendor


class Anything(Vendor):
    """Takes what comes."""

    def answer(self, asked: Asked) -> Told:
        if asked.path == "/gone":
            return Told(410, "gone")
        if asked.path == "/moved":
            return Told(302, "", {"Location": "/elsewhere"})
        if asked.path == "/echo":
            return Told(400, {"you sent": asked.body.decode()})
        return Told(200, {"taken": True})

    def state(self) -> Any:
        return None


VENDOR = Anything
