"""Request headers that change what a call does: conditions on versions, and how long an answer may be held."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request

from service.problems import Problem


def tags(request: Request, name: str) -> list[str] | None:
    """The entity tags of `If-Match`/`If-None-Match` as written (`"3"`, `W/"3"`, `*`); None without the header."""
    values = request.headers.getlist(name)
    if not values:
        return None
    return [tag.strip() for value in values for tag in value.split(",") if tag.strip()]


def if_match(request: Request, etag: str | None) -> None:
    """Raises 412 unless the request allows changing what has this tag (None: there is nothing).

    Strong comparison, as RFC 9110 asks for changes: a weak tag never matches.
    """
    wanted = tags(request, "if-match")
    if wanted is not None and (etag is None or ("*" not in wanted and etag not in wanted)):
        raise changed_meanwhile(etag)
    unwanted = tags(request, "if-none-match")
    if unwanted is not None and etag is not None and ("*" in unwanted or etag in _strong(unwanted)):
        raise changed_meanwhile(etag)


def not_modified(request: Request, etag: str) -> bool:
    """Whether the reader of a GET already has this (weak comparison)."""
    known = tags(request, "if-none-match")
    return known is not None and ("*" in known or etag in _strong(known))


def changed_meanwhile(etag: str | None) -> Problem:
    detail = f"Its ETag is {etag} now: read it, and decide again." if etag else "It does not exist (any more)."
    return Problem(412, "changed-meanwhile", detail, headers={"ETag": etag} if etag else {})


def _strong(found: Iterable[str]) -> set[str]:
    return {tag.removeprefix("W/") for tag in found}


def wait_seconds(request: Request, most: float) -> float | None:
    """Seconds of `Prefer: wait=n`, at most `most`; None without. Preferences nobody knows are ignored (RFC 7240).

    >>> from starlette.requests import Request
    >>> wait_seconds(Request({"type": "http", "headers": [(b"prefer", b"foo; a=b, Wait=99")]}), 30)
    30
    """
    for value in request.headers.getlist("prefer"):
        for preference in value.split(","):
            name, _, amount = preference.partition(";")[0].partition("=")
            number = amount.strip().strip('"')
            if name.strip().lower() == "wait" and number.isascii() and number.isdigit():
                return min(int(number), most) if len(number) < 10 else most
    return None


def wants_yaml(request: Request) -> bool:
    """Whether `Accept` prefers YAML to JSON; JSON when it doesn't say."""
    best: dict[str, float] = {}
    for part in ",".join(request.headers.getlist("accept")).split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        best[media] = max(best.get(media, 0.0), _quality(parameters))
    yaml = max((best.get(media, 0.0) for media in YAML), default=0.0)
    return yaml > 0 and yaml > best.get("application/json", 0.0)


YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
