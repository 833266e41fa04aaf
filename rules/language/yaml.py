"""Reads YAML 1.2 (core schema) and JSON: dates, `no`, `on` are text; keys are text as written; nothing else is built.

The characters are read by libyaml; what a plain scalar means, duplicate keys, aliases and depth are decided here, so
that nothing of YAML 1.1 and no Python object comes in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from rules.errors import Mistake, SegmentInvalid
from rules.language.draft import join
from rules.language.hints import shown
from rules.limits import DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX, DOCUMENT_VALUES_MAX

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its events are used
_TAG = "tag:yaml.org,2002:"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|nan|NaN|NAN)")
_INT_DIGITS_MAX = 400  # more than any number that is used; keeps reading one linear


def load_yaml(source: str | bytes, bytes_max: int = DOCUMENT_BYTES_MAX) -> Any:
    """The one document of a text (None where it is empty). Raises SegmentInvalid with the line of each mistake."""
    text = _text(source, bytes_max)
    quick = _as_json(text)
    if quick is not _NOT_JSON:
        return quick
    documents = _documents(text)
    if len(documents) > 1:
        raise SegmentInvalid([Mistake("", f"one document is expected here, these are {len(documents)}")])
    return documents[0] if documents else None


def load_yaml_all(source: str | bytes, bytes_max: int = DOCUMENT_BYTES_MAX) -> list[Any]:
    """All documents of a text, divided by `---` lines. Raises as `load_yaml`."""
    return _documents(_text(source, bytes_max))


def load_json(source: str | bytes, bytes_max: int = DOCUMENT_BYTES_MAX) -> Any:
    """The value of a JSON text; a key that stands twice, NaN and Infinity are mistakes. Raises SegmentInvalid."""
    text = _text(source, bytes_max)
    try:
        return _json(text)
    except json.JSONDecodeError as error:
        told = f"line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}"
    except RecursionError:
        told = f"is nested deeper than {DOCUMENT_NESTING_MAX} levels"
    except ValueError as error:
        told = str(error)
    raise SegmentInvalid([Mistake("", told)])


def _text(source: str | bytes, bytes_max: int) -> str:
    size = len(source)
    if size > bytes_max:
        raise SegmentInvalid([Mistake("", f"the text may be at most {bytes_max:,} bytes, this one has {size:,}")])
    try:
        text = source.decode("utf-8") if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        raise SegmentInvalid([Mistake("", f"this is no UTF-8: byte {error.start} is wrong")]) from None
    return text.removeprefix("\ufeff")


_NOT_JSON = object()


def _as_json(text: str) -> Any:
    """JSON is YAML 1.2, but libyaml does not take all of it (tabs, `\\/`, surrogate pairs): so JSON is tried first."""
    if not text.lstrip().startswith(("{", "[")):
        return _NOT_JSON
    try:
        return _json(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _json(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_json_object, parse_constant=_json_constant, parse_int=_json_int)
    _assert_shallow(value)
    return value


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key `{next(key for key in keys if keys.count(key) > 1)}` stands twice in one object")
    return found


def _json_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _json_int(digits: str) -> int:
    if len(digits) > _INT_DIGITS_MAX:
        raise ValueError(f"a number may have at most {_INT_DIGITS_MAX} digits")
    return int(digits)


def _assert_shallow(value: Any, depth: int = 0) -> None:
    if depth > DOCUMENT_NESTING_MAX:
        raise ValueError(f"is nested deeper than {DOCUMENT_NESTING_MAX} levels")
    if isinstance(value, dict):
        for inner in value.values():
            _assert_shallow(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _assert_shallow(inner, depth + 1)


def _documents(text: str) -> list[Any]:
    try:
        parser = _Parser(text)
    except (yaml.YAMLError, UnicodeError) as error:
        raise SegmentInvalid([Mistake("", f"this is no YAML: {' '.join(str(error).split())}")]) from None
    try:
        return _Building(parser).documents()
    finally:
        parser.dispose()


class _Stop(Exception):
    """Reading cannot go on behind the mistake just noted."""


class _Building:
    """Builds plain values from libyaml's events, and counts them, so that neither depth nor aliases can multiply.

    It asks for one event after the other and goes no deeper than the limit: libyaml's own composer recurses in C.
    """

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._mistakes: list[Mistake] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # the value and how many values it is made of
        self._values = 0

    def documents(self) -> list[Any]:
        """Every document of the text. Raises SegmentInvalid."""
        found = []
        try:
            while not isinstance(event := self._parser.get_event(), yaml.StreamEndEvent):
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                    found.append(self._value(self._parser.get_event(), "", 0))
        except yaml.MarkedYAMLError as error:
            self._mistakes.append(Mistake("", _syntax(error)))
        except (yaml.YAMLError, UnicodeError) as error:
            self._mistakes.append(Mistake("", f"this is no YAML: {' '.join(str(error).split())}"))
        except _Stop:
            pass
        if self._mistakes:
            raise SegmentInvalid(self._mistakes)
        return found

    def _value(self, event: Any, at: str, depth: int) -> Any:
        before = self._values
        self._count(event, at, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, at)
        scalar = isinstance(event, yaml.ScalarEvent)
        value = self._scalar(event, at) if scalar else self._collection(event, at, depth)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _count(self, event: Any, at: str, values: int) -> None:
        self._values += values
        if self._values > DOCUMENT_VALUES_MAX:
            self._note(event, at, f"the text stands for more than {DOCUMENT_VALUES_MAX:,} values")
            raise _Stop

    def _alias(self, event: Any, at: str) -> Any:
        if event.anchor not in self._anchors:
            self._note(event, at, f"the alias `*{event.anchor}` has no anchor before it")
            return None
        value, size = self._anchors[event.anchor]
        self._count(event, at, size - 1)
        return value

    def _collection(self, event: Any, at: str, depth: int) -> Any:
        if depth >= DOCUMENT_NESTING_MAX:
            self._note(event, at, f"is nested deeper than {DOCUMENT_NESTING_MAX} levels")
            raise _Stop
        wanted, build = _COLLECTIONS[type(event)]
        if event.tag not in (None, "!", wanted):
            self._note(event, at, f"the tag `{event.tag}` is not known here: leave it out")
        return build(self, at, depth + 1)

    def _list(self, at: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            found.append(self._value(event, f"{at}[{len(found)}]", depth))
        return found

    def _mapping(self, at: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            key = self._key(event, at, depth)
            here = join(at, key)
            if key in found:
                self._note(event, here, f"the key {shown(key)} stands twice in one mapping: keep one")
            found[key] = self._value(self._parser.get_event(), here, depth)
        return found

    def _key(self, event: Any, at: str, depth: int) -> str:
        """A key is its text as written: `1: x` and `"1": x` are the same, as they are in JSON."""
        if isinstance(event, yaml.ScalarEvent):
            self._value(event, at, depth)
            return str(event.value)
        self._note(event, at, "a key must be plain text")
        return str(self._value(event, at, depth))

    def _scalar(self, event: Any, at: str) -> Any:
        if event.tag in (None, "!"):
            return _plain(event.value) if event.implicit[0] else event.value
        wanted = event.tag.removeprefix(_TAG)
        value = event.value if wanted == "str" else _plain(event.value)
        if isinstance(value, _KINDS.get(wanted, ())) and not (wanted == "int" and isinstance(value, bool)):
            return value
        self._note(event, at, f"the tag `{event.tag}` does not fit here: leave it out")
        return None

    def _note(self, event: Any, at: str, message: str) -> None:
        mark = event.start_mark
        self._mistakes.append(Mistake(at, f"line {mark.line + 1}, column {mark.column + 1}: {message}"))


def _syntax(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    told = error.problem or error.context or "cannot be read"
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}this is no YAML: {told}"


_COLLECTIONS: dict[type, tuple[str, Callable[[_Building, str, int], Any]]] = {
    yaml.SequenceStartEvent: (_TAG + "seq", _Building._list),
    yaml.MappingStartEvent: (_TAG + "map", _Building._mapping),
}
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


def _plain(text: str) -> Any:
    """What a plain scalar means in the core schema of YAML 1.2 (chapter 10.3.2).

    >>> [_plain(text) for text in ("12", "0o17", "1e3", "true", "~", "no", "2026-01-01", "0123", "1_000")]
    [12, 15, 1000.0, True, None, 'no', '2026-01-01', 123, '1_000']
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in "-+.0123456789":
        return text
    if _INT.fullmatch(text) and len(text) <= _INT_DIGITS_MAX:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(f"{special[1]}inf" if special[2] else "nan") if special else text
