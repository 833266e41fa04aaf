"""How a transition's place is written down: in the headers of its record, and in the store's note."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.log.port import START
from consumers.relay.port import Outgoing, Place

CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
NUMBER = "segmentd-number"
COMMIT = "segmentd-commit"

Header = tuple[str, bytes]
NOWHERE = Place(commit=0, nth=-1, position=START, number=0)
"""Before everything."""


def encode(outgoing: Outgoing) -> list[Header]:
    """content-type, the running number, `commit:nth:position`, and the trace where there is one."""
    place = outgoing.place
    headers = [
        ("content-type", CONTENT_TYPE),
        (NUMBER, b"%d" % place.number),
        (COMMIT, b"%d:%d:%d" % (place.commit, place.nth, place.position)),
    ]
    if outgoing.traceparent:
        headers.append(("traceparent", outgoing.traceparent.encode()))
    return headers


def decode(headers: Iterable[Header]) -> Place:
    """The place in a record's headers. ValueError for a record that no relay wrote."""
    found = dict(headers)
    try:
        commit, nth, position = found[COMMIT].split(b":")
        return Place(int(commit), int(nth), int(position), int(found[NUMBER]))
    except (KeyError, ValueError) as error:
        raise ValueError(f"not written by a relay: headers {COMMIT} and {NUMBER} are missing or broken") from error


def write_note(place: Place, skips: int) -> str:
    """`commit nth position number skips`, as the store keeps it."""
    return f"{place.commit} {place.nth} {place.position} {place.number} {skips}"


def read_note(text: str) -> tuple[Place, int]:
    """The inverse; "" is a partition of which nothing was ever published."""
    if not text:
        return NOWHERE, 0
    commit, nth, position, number, skips = (int(part) for part in text.split())
    return Place(commit, nth, position, number), skips
