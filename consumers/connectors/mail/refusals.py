"""What a mail server says no to, and what that means for the call.

What the other side says may hold the address it speaks of, so only codes and a masked, short text are told.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from consumers.connectors.mail.addresses import Address
from consumers.delivery.port import Failed, Refused

Stage = Literal["connecting", "signing in", "the sender", "the recipient", "the message"]
_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_UNKNOWN_USER = frozenset({(1, 1), (1, 2), (1, 3), (1, 6), (1, 10)})
"""RFC 3463 and 7505: no such mailbox, no such domain, not an address, moved away, a domain that takes no mail."""
_OURS_TO_MEND = frozenset({530, 534, 535, 538})
"""The server wants us to sign in, or otherwise: nothing that the recipient could do about."""
_TEXT_CHARS_MAX = 160
_LOOKED_AT_CHARS = 2000


class Said(NamedTuple):
    """A server's answer. `code`: three digits; `text`: all its lines."""

    code: int
    text: str


def outcome_of(stage: Stage, said: Said, to: Address) -> Failed | Refused:
    """4xx may go better another time. 5xx of the recipient or the message never will; of what is set up here, it may
    when somebody has mended it."""
    error = f"{stage}: {said.code} {masked(said.text, to)}".rstrip()
    if said.code < 500 or said.code in _OURS_TO_MEND or stage not in ("the recipient", "the message"):
        return Failed(error)
    return Refused(error)


def does_not_exist(stage: Stage, said: Said) -> bool:
    """Whether the server said of the recipient, with an enhanced code, that there is no such address. A bare 550 may
    as well be its opinion of us."""
    found = _ENHANCED.search(said.text)
    if stage != "the recipient" or said.code < 500 or found is None or found[1] != "5":
        return False
    return (int(found[2]), int(found[3])) in _UNKNOWN_USER


def masked(text: str, to: Address) -> str:
    """What a server said, without the address or parts of it, on one line and cut.

    >>> masked("5.1.1 <ana@pop.example>: user ana unknown at pop.example", Address("ana", "pop.example"))
    '5.1.1 ***: user *** unknown at ***'
    """
    line = re.sub(r"\S*@[^\s:;,]*", "***", " ".join(text[:_LOOKED_AT_CHARS].split()))
    for part in (to.local, to.domain):
        line = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "***", line, flags=re.IGNORECASE)
    return line if len(line) <= _TEXT_CHARS_MAX else line[: _TEXT_CHARS_MAX - 1] + "…"
