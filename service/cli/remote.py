"""A running service over HTTP, as `segments diff`, `apply` and `status` need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from rules.errors import SegmentdError

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 300.0  # of silence: a service takes rows as fast as its log does
_UNAVAILABLE = 503
_PAGE = 500


class ServerSaidNo(SegmentdError):
    """The service could not be reached, or refused; the message is its own."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A segment as it stands in the service."""

    id: str
    version: int
    document: dict[str, Any]
    sentence: str
    revision: int = 0

    @property
    def etag(self) -> str:
        return f'"{self.version}.{self.revision}"' if self.revision else f'"{self.version}"'


class Remote:
    """Every call raises ServerSaidNo."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def segments(self) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        cursor: str | None = None
        while True:
            page = self._call("GET", "/v1/segments", params={"limit": _PAGE} | ({"cursor": cursor} if cursor else {}))
            for each in page.json()["segments"]:
                found[each["id"]] = Standing(
                    each["id"], each["version"], each["document"], each["words"]["sentence"], each.get("revision", 0)
                )
            cursor = page.json()["cursor"]
            if cursor is None:
                return found

    def text(self, segment: str) -> str:
        """The author's own text, as YAML."""
        return self._call("GET", f"/v1/segments/{segment}", headers={"Accept": "application/yaml"}).text

    def put(self, segment: str, text: str, media_type: str, standing: Standing | None) -> None:
        """Makes a segment, or changes the version that stands, and no other."""
        condition = {"If-Match": standing.etag} if standing else {"If-None-Match": "*"}
        headers = {"Content-Type": media_type, **condition}
        self._call("PUT", f"/v1/segments/{segment}", content=text.encode(), headers=headers)

    def delete(self, standing: Standing) -> None:
        self._call("DELETE", f"/v1/segments/{standing.id}", headers={"If-Match": standing.etag})

    def try_action(self, segment: str, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What an action would send, or has sent."""
        found: dict[str, Any] = self._call("POST", f"/v1/segments/{segment}/actions/{action}/try", json=asked).json()
        return found

    def members(self, segment: str) -> Iterator[tuple[str, str]]:
        """Every member, newest first: (customer, since)."""
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            page = self._call("GET", f"/v1/segments/{segment}/members", params=query).json()
            for each in page["members"]:
                yield each["customer_id"], each["since"]
            if page["cursor"] is None:
                return
            query["cursor"] = page["cursor"]

    def upload(
        self, path: str, content: Iterable[bytes], headers: dict[str, str], query: dict[str, str]
    ) -> dict[str, Any]:
        """Sends a file piece by piece; the answer, also where it is that no row could be taken."""
        try:
            answer = self._client.post(
                path, content=content, headers=headers, params=query, timeout=httpx2.Timeout(UPLOAD_TIMEOUT_S)
            )
        except httpx2.HTTPError as error:
            raise ServerSaidNo(f"{self._client.base_url}: {str(error) or type(error).__name__}") from None
        found: dict[str, Any] = {}
        with suppress(ValueError):
            found = answer.json()
        if (answer.is_error and "errors_total" not in found) or answer.status_code == _UNAVAILABLE:
            raise ServerSaidNo(f"POST {path}: {_problem(answer)}")
        return found

    def status(self) -> dict[str, Any]:
        """The answer of `/v1/status`."""
        found: dict[str, Any] = self._call("GET", "/v1/status").json()
        return found

    def _call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise ServerSaidNo(f"{self._client.base_url}: {error}") from None
        if answer.is_error:
            raise ServerSaidNo(f"{method} {path}: {_problem(answer)}")
        return answer


def _problem(answer: httpx2.Response) -> str:
    """What an error answer says, with every mistake it names."""
    try:
        problem = answer.json()
        lines = [f"{answer.status_code} {problem['detail']}"]
        lines += [f"  {each['at']}: {each['message']}" for each in problem.get("mistakes", ())]
        return "\n".join(lines)
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"


@contextmanager
def connect(server: str, token: str | None) -> Iterator[Remote]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        client = httpx2.Client(base_url=server, headers=headers, timeout=TIMEOUT_S)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ServerSaidNo(f"{server}: {error}") from None
    with client:
        yield Remote(client)
