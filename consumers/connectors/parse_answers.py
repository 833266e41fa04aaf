"""Reads how the answers of a connector's calls are to be understood."""

from __future__ import annotations

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from consumers.connectors.documents import AnswerRules, Failures
from rules.language import mistakes
from rules.language.draft import Draft
from rules.language.hints import shown
from rules.language.parse_values import mapping, only_keys, text

_ANSWER = ("ok", "error", "code", "again", "wait", "split", "statuses", "failed")
_FAILED = ("in", "by", "place", "error", "again", "count")
_WAIT_S_MAX = 24 * 3600


def expression(draft: Draft, raw: Any, at: str) -> ParsedResult | None:
    """A JMESPath expression over an answer's JSON."""
    found = text(draft, raw, at, "an expression", 1024)
    if found is None:
        return None
    try:
        return jmespath.compile(found)
    except (JMESPathError, RecursionError) as error:
        first = str(error).splitlines()[0].removesuffix(":") if str(error) else "is nested too deep"
        draft.wrong(at, f'{shown(found)} is no JMESPath expression: {first} (a name with other signs goes in "…")')
        return None


def answer_rules(draft: Draft, raw: Any, at: str) -> AnswerRules | None:
    found = mapping(draft, raw, at, "{ok: ok, error: error}")
    if found is None:
        return None
    only_keys(draft, found, at, _ANSWER)
    statuses = mapping(draft, found.get("statuses", {}), f"{at}.statuses", "{ok: [404], again: [402]}") or {}
    only_keys(draft, statuses, f"{at}.statuses", ("ok", "again"))
    return AnswerRules(
        taken=expression(draft, found["ok"], f"{at}.ok") if "ok" in found else None,
        error=expression(draft, found["error"], f"{at}.error") if "error" in found else None,
        code=expression(draft, found["code"], f"{at}.code") if "code" in found else None,
        again=_words(draft, found.get("again", []), f"{at}.again"),
        wait_s=_seconds(draft, found["wait"], f"{at}.wait") if "wait" in found else 0.0,
        splits=_flag(draft, found.get("split", True), f"{at}.split"),
        statuses_ok=_statuses(draft, statuses.get("ok", []), f"{at}.statuses.ok"),
        statuses_again=_statuses(draft, statuses.get("again", []), f"{at}.statuses.again"),
        failures=_failures(draft, found["failed"], f"{at}.failed") if "failed" in found else None,
    )


def _failures(draft: Draft, raw: Any, at: str) -> Failures | None:
    example = "{in: errors, by: email_address, error: error}"
    found = mapping(draft, raw, at, example)
    if found is None:
        return None
    only_keys(draft, found, at, _FAILED)
    if "in" not in found and "count" not in found:
        draft.wrong(f"{at}.in", mistakes.missing_key("in", example))
    if "in" in found and ("by" in found) == ("place" in found):
        draft.wrong(at, "takes `by` (a field of the entry and of the element) or `place` (its number in the batch)")
    inside = expression(draft, found["in"], f"{at}.in") if "in" in found else None
    by = expression(draft, found["by"], f"{at}.by") if "by" in found else None
    count = expression(draft, found["count"], f"{at}.count") if "count" in found else None
    if inside is None and count is None:
        return None
    return Failures(
        found=inside,
        by=by,
        place=expression(draft, found["place"], f"{at}.place") if "place" in found else None,
        error=expression(draft, found["error"], f"{at}.error") if "error" in found else None,
        again=_words(draft, found.get("again", []), f"{at}.again"),
        count=count,
    )


def _seconds(draft: Draft, raw: Any, at: str) -> float:
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= _WAIT_S_MAX:
        return float(raw)
    draft.wrong(at, f"must be seconds, from 1 to {_WAIT_S_MAX:,}; this is {shown(raw)}")
    return 0.0


def _flag(draft: Draft, raw: Any, at: str) -> bool:
    if not isinstance(raw, bool):
        draft.wrong(at, f"is true or false, this is {shown(raw)}")
    return raw is True


def _words(draft: Draft, raw: Any, at: str) -> frozenset[str]:
    if isinstance(raw, list) and all(isinstance(each, str) for each in raw):
        return frozenset(raw)
    draft.wrong(at, f"must be a list of texts, this is {shown(raw)}")
    return frozenset()


def _statuses(draft: Draft, raw: Any, at: str) -> frozenset[int]:
    if isinstance(raw, list) and all(isinstance(each, int) and 300 <= each <= 599 for each in raw):
        return frozenset(raw)
    draft.wrong(at, f"must be a list of HTTP statuses from 300 on, such as `[404]`; this is {shown(raw)}")
    return frozenset()
