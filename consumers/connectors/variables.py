"""What templates may speak of, and what is said of a name that there is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from consumers.connectors.filters import OMIT
from consumers.connectors.port import Subject
from consumers.connectors.secrets import SECRET_NAME
from consumers.connectors.uses import Use
from consumers.delivery.port import Item
from rules.language.hints import listed, nearest, shown

SEGMENT_FIELDS = ("id", "name", "about", "timezone")
ITEM_FIELDS = ("id", "kind", "customer_id", "segment", "cause", "sequence", "time", "time_s", "data")
OF_A_CALL = ("customer", "segment", "event", "item", "direction", "now", "key", "omit")
"""What an action's `with` may speak of."""
OF_A_CONNECTOR = ("settings", "secrets", "now", "omit")
"""What `base`, `auth`, `sign` and the document's own `headers` may speak of: nothing of one customer."""
RESERVED = frozenset({*OF_A_CALL, *OF_A_CONNECTOR, "each", "found"})
"""No parameter has one of these names."""

_FIELDS = {"segment": SEGMENT_FIELDS, "item": ITEM_FIELDS}


def of_subject(subject: Subject, key: str, now_ms: int) -> dict[str, Any]:
    """The variables of one customer's call. `event` and `direction` are undefined where there are none."""
    found: dict[str, Any] = {
        "customer": subject.customer,
        "segment": subject.segment,
        "item": _item(subject.item),
        "now": now_ms // 1000,
        "key": key,
        "omit": OMIT,
    }
    if subject.event is not None:
        found["event"] = subject.event
    if subject.direction is not None:
        found["direction"] = subject.direction
    return found


def _item(item: Item) -> dict[str, Any]:
    time = datetime.fromtimestamp(item.time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "id": item.id,
        "kind": item.kind,
        "customer_id": item.customer_id,
        "segment": item.segment,
        "cause": item.cause,
        "sequence": item.sequence,
        "time": time,
        "time_s": item.time_ms // 1000,
        "data": orjson.loads(item.data),
    }


def strange(use: Use, known: Collection[str]) -> Iterator[str]:
    """What is wrong with asking for this variable where only `known` are."""
    root, *rest = use.path
    if root not in known:
        yield not_known(root, known)
    elif root in _FIELDS and rest and rest[0] not in _FIELDS[root]:
        yield not_known(f"{root}.{rest[0]}", [f"{root}.{field}" for field in _FIELDS[root]])
    elif root == "secrets" and not (len(rest) == 1 and SECRET_NAME.fullmatch(rest[0])):
        yield "a secret is named in capitals, such as `secrets.KOMMO_TOKEN`"
    elif root == "settings" and not rest:
        yield "a setting is named, such as `settings.subdomain`"


def not_known(name: str, known: Collection[str]) -> str:
    if name == "secrets":
        return "secrets are read by connectors' documents only, never by a segment's: put it into a connector"
    near = nearest(name, sorted(known))
    hint = f"did you mean `{near}`? " if near else ""
    return f"no such variable {shown(name)}; {hint}there are: {listed(sorted(known))}"
