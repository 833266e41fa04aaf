"""Meta's Graph API, /{audience}/users, as
https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users describes it: at most 10,000 rows of
hashes, or the request is refused; rows that are none are counted, not named; throttling is a code, without Retry-After.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

from tests.consumers.connectors.vendors.serving import Asked, Told, Vendor

TOKEN = "meta-system-user-token"
AUDIENCE = "23843000000000001"
SCHEMA = ["EMAIL", "PHONE"]
ROWS_MAX = 10_000
_HASH = re.compile(r"[0-9a-f]{64}")


class Meta(Vendor):
    """One audience. `knobs["throttled"]`: the code it says instead of an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.people: set[tuple[str, str]] = set()

    def state(self) -> Any:
        return sorted(self.people)

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}" and asked.one("access_token") != TOKEN:
            return error(400, 190, "Invalid OAuth access token - Cannot parse access token", "OAuthException")
        if code := self.knobs.get("throttled"):
            return error(400, code, "There have been too many calls to this account. Wait a bit and try again.")
        found = re.fullmatch(r"/v25\.0/([^/]+)/users", asked.path)
        if found is None or found[1] != AUDIENCE:
            what = found[1] if found else asked.path
            return error(400, 100, f"Unsupported post request. Object with ID '{what}' does not exist", subcode=33)
        if asked.method not in ("POST", "DELETE"):
            return error(400, 100, f"Unsupported {asked.method.lower()} request.")
        payload = _payload(asked)
        if not isinstance(payload, dict) or set(payload) - {"schema", "data", "is_raw"}:
            return error(400, 100, "(#100) The parameter payload is required")
        if payload.get("schema") != SCHEMA:
            return error(400, 100, "(#100) Invalid schema for payload")
        rows = payload.get("data")
        if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS_MAX:
            return error(400, 100, f"(#100) The payload takes 1 to {ROWS_MAX} users")
        good = [tuple(row) for row in rows if _good(row)]
        if asked.method == "POST":
            self.people.update(good)
        else:
            self.people = {each for each in self.people if not any(_same(each, row) for row in good)}
        bad = len(rows) - len(good)
        counts = {"num_received": len(rows), "num_invalid_entries": bad, "invalid_entry_samples": {}}
        return Told(200, {"audience_id": AUDIENCE, "session_id": "9778993", **counts})


def _payload(asked: Asked) -> Any:
    """From a JSON body, or a form whose field `payload` is JSON."""
    if asked.headers.get("content-type") == "application/json":
        body = asked.json()
        return body.get("payload") if isinstance(body, dict) else None
    values = parse_qs(asked.body.decode()).get("payload", ["null"])
    return json.loads(values[0])


def _good(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != len(SCHEMA):
        return False
    return any(row) and all(value == "" or (isinstance(value, str) and _HASH.fullmatch(value)) for value in row)


def _same(known: tuple[str, ...], row: tuple[str, ...]) -> bool:
    return any(mine and mine == theirs for mine, theirs in zip(known, row, strict=True))


def error(status: int, code: int, message: str, kind: str = "OAuthException", subcode: int | None = None) -> Told:
    told: dict[str, Any] = {"message": message, "type": kind, "code": code, "fbtrace_id": "EJplcsCHuLu"}
    return Told(status, {"error": told | ({"error_subcode": subcode} if subcode else {})})


VENDOR = Meta
