"""What an answer means for each customer of a request: taken, to be tried again, or refused for good."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from consumers.connectors.documents import AnswerRules, Failures
from consumers.connectors.secrets import Secrets
from consumers.delivery.port import Done, Failed, Outcome, Refused
from consumers.outbound.client import Answer

ERROR_CHARS_MAX = 300
PAUSE_S_MAX = 24 * 3600.0
_LATER = frozenset({408, 425, 429})
_NOBODYS = frozenset({404, 405, 410, 501})
"""Say that the address is wrong: no part of a batch would be taken either."""
_PLACE = re.compile(r"\[([0-9]{1,6})\]")
_CREDENTIALS = frozenset({401, 403})
_NOBODY = object()


class Verdict(NamedTuple):
    """`all`: what it means for everyone who is not in `some`, which has those that the answer names, by their number
    in the request. `undecided`: the whole was refused because of `some`, or of somebody unnamed: the others are to be
    asked for again without them. `pause_s`: how long the other side wants no more requests."""

    all: Outcome
    some: Mapping[int, Outcome]
    undecided: bool = False
    pause_s: float = 0.0
    data: Any = None


def judge(
    rules: AnswerRules,
    answer: Answer,
    elements: Sequence[Any],
    secrets: Secrets,
    now_ms: int,
    *,
    followed: bool = False,
) -> Verdict:
    """What `answer` means. `elements`: of a batch, in the order sent; `followed`: by a `then`, which reads it."""
    data = _data(answer)
    status = answer.status
    some, unnamed = _failures(rules.failures, data, elements, secrets) if rules.failures else ({}, 0)
    if 200 <= status < 300:
        if rules.taken is not None and (data is None or not _search(rules.taken, data)):
            return _not_taken(rules, data, answer, secrets)
        if data is None and answer.body and (followed or rules.failures is not None):
            told = "is longer than is read" if answer.cut else "is no JSON"
            return Verdict(Failed(f"HTTP {status}, but the answer {told}", status), {})
        more = f"; {unnamed} not taken, and not said which" if unnamed else ""
        return Verdict(Done(f"HTTP {status}{more}", status), some, data=data)
    if status in rules.statuses_ok:
        return Verdict(Done(f"HTTP {status}, which is fine here", status), {}, data=data)
    words = _words(rules, data, answer, secrets)
    pause = _retry_after_s(answer.headers.get("retry-after"), now_ms)
    if _comes_again(rules, data):
        pause = pause or rules.wait_s
        return Verdict(Failed(words, status, pause or None), {}, pause_s=pause)
    if status in _LATER or status >= 500 or status in rules.statuses_again:
        held = (pause or 1.0) if status == 429 else pause or 0.0
        return Verdict(Failed(words, status, pause), {}, pause_s=held)
    if status in _CREDENTIALS:
        return Verdict(Failed(f"the credentials are not accepted: {words}", status), {})
    if 300 <= status < 400:
        return Verdict(Failed(f"{words}; redirects are not followed: mend the address", status), {})
    splits = bool(some) or (rules.splits and status not in _NOBODYS)
    return Verdict(Refused(words, status), some, undecided=len(elements) > 1 and splits)


def _comes_again(rules: AnswerRules, data: Any) -> bool:
    """Whether the answer's code is one of those that may go better another time."""
    found = rules.code or rules.error
    return found is not None and data is not None and _text(_search(found, data)) in rules.again


def _data(answer: Answer) -> Any:
    """The answer's JSON; None where it is none, or was cut."""
    try:
        return orjson.loads(answer.body) if answer.body else None
    except orjson.JSONDecodeError:
        return None


def _search(expression: ParsedResult, data: Any) -> Any:
    try:
        return expression.search(data)
    except (JMESPathError, TypeError, ValueError):
        return None


def found_in(expression: ParsedResult, data: Any) -> list[Any]:
    """What an expression finds, as a list; nothing is an empty one."""
    value = _search(expression, data)
    return value if isinstance(value, list) else [] if value is None else [value]


# -- words ------------------------------------------------------------------------------------------------------------


def _not_taken(rules: AnswerRules, data: Any, answer: Answer, secrets: Secrets) -> Verdict:
    """A 2xx whose body says no."""
    words = _words(rules, data, answer, secrets)
    if not _comes_again(rules, data):
        return Verdict(Refused(words, answer.status), {}, data=data)
    return Verdict(Failed(words, answer.status, rules.wait_s or None), {}, pause_s=rules.wait_s, data=data)


def _words(rules: AnswerRules, data: Any, answer: Answer, secrets: Secrets) -> str:
    """`HTTP 400: ...` with what the other side says, masked and short."""
    said = _text(_search(rules.error, data)) if rules.error is not None and data is not None else ""
    said = said or answer.body.decode("utf-8", "replace")
    return f"HTTP {answer.status}: {shortened(said, secrets)}" if said.strip() else f"HTTP {answer.status}"


def shortened(text: str, secrets: Secrets) -> str:
    """On one line, without secrets and what terminals obey, at most 300 characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in secrets.mask(text)).split())
    return clean if len(clean) <= ERROR_CHARS_MAX else clean[: ERROR_CHARS_MAX - 1] + "…"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _retry_after_s(value: str | None, now_ms: int) -> float | None:
    """Seconds, from seconds or a date; None where it says neither."""
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), PAUSE_S_MAX)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now_ms / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), PAUSE_S_MAX)


# -- some of a batch --------------------------------------------------------------------------------------------------


def _failures(rules: Failures, data: Any, elements: Sequence[Any], secrets: Secrets) -> tuple[dict[int, Outcome], int]:
    """Those that the answer names, and how many it speaks of without naming them."""
    found: dict[int, Outcome] = {}
    unnamed = _number(_search(rules.count, data)) if rules.count is not None else 0
    for entry in found_in(rules.found, data) if rules.found is not None else ():
        code = _text(_search(rules.error, entry)) if rules.error is not None else _text(entry)
        words = shortened(code, secrets) or "was not taken"
        numbers = _numbers(rules, entry, elements)
        unnamed += not numbers
        for number in numbers:
            found[number] = Failed(words) if code in rules.again else Refused(words)
    return found, unnamed


def _numbers(rules: Failures, entry: Any, elements: Sequence[Any]) -> list[int]:
    """Which elements an entry speaks of."""
    if rules.place is not None:
        place = _search(rules.place, entry)
        text = str(place) if isinstance(place, int | str) and not isinstance(place, bool) else ""
        if inside := _PLACE.search(text):
            text = inside[1]
        return [int(text)] if text.isascii() and text.isdigit() and int(text) < len(elements) else []
    assert rules.by is not None, "an entry is found by a field or by its place"
    wanted = _alike(_search(rules.by, entry))
    return [n for n, each in enumerate(elements) if wanted is not _NOBODY and _alike(_search(rules.by, each)) == wanted]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _alike(value: Any) -> Any:
    """Addresses come back in lower case, numbers as text."""
    return _NOBODY if value is None else str(value).strip().lower()
