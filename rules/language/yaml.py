"""Reads YAML 1.2 (core schema) and JSON: dates, `no`, `on` are text; keys are text as written; nothing else is built.

The characters are read by libyaml; what a plain scalar means, duplicate keys, aliases and depth are decided here, so
that nothing of YAML 1.1 and no Python object comes in.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from rules.errors import Mistake, SegmentInvalid
from rules.language.draft import join
from rules.limits import DOCUMENT_ALIASES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXT, _MAP, _LIST = _TAG + "str", _TAG + "map", _TAG + "seq"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|nan|NaN|NAN)")
_INT_DIGITS_MAX = 400  # more than any number that is used; keeps reading one linear


class _Loader(_Base):  # type: ignore[misc]
    """Composes nodes only; the meaning of plain scalars is given by `_plain`."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return "?" if implicit[0] else _TEXT
        return _LIST if kind is yaml.SequenceNode else _MAP


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
    building = _Building()
    loader: Any = None
    try:
        loader = _Loader(text)
        values = []
        while loader.check_node():
            values.append(building.value(loader.get_node(), "", 0))
    except yaml.MarkedYAMLError as error:
        building.mistakes.append(Mistake("", _syntax(error)))
    except (yaml.YAMLError, UnicodeError) as error:
        building.mistakes.append(Mistake("", f"this is no YAML: {' '.join(str(error).split())}"))
    except RecursionError:
        building.mistakes.append(Mistake("", f"is nested deeper than {DOCUMENT_NESTING_MAX} levels"))
    finally:
        if loader is not None:
            loader.dispose()
    if building.mistakes:
        raise SegmentInvalid(building.mistakes)
    return values


def _syntax(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    told = error.problem or error.context or "cannot be read"
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}this is no YAML: {told}"


class _Building:
    """Turns composed nodes into plain values and counts what it builds, so that aliases cannot multiply."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._values = 0
        self._opened: set[int] = set()

    def value(self, node: Any, at: str, depth: int) -> Any:
        self._values += 1
        if self._values > DOCUMENT_ALIASES_MAX:
            return self._stop(at, node, f"the text stands for more than {DOCUMENT_ALIASES_MAX:,} values")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, at)
        if depth >= DOCUMENT_NESTING_MAX or id(node) in self._opened:
            return self._stop(at, node, f"is nested deeper than {DOCUMENT_NESTING_MAX} levels")
        if node.tag not in (_MAP, _LIST):
            return self._stop(at, node, f"the tag `{node.tag}` is not known here: leave it out")
        self._opened.add(id(node))
        built: Any = (
            self._mapping(node, at, depth) if isinstance(node, yaml.MappingNode) else self._list(node, at, depth)
        )
        self._opened.discard(id(node))
        return built

    def _list(self, node: Any, at: str, depth: int) -> list[Any]:
        return [self.value(item, f"{at}[{index}]", depth + 1) for index, item in enumerate(self._within(node))]

    def _mapping(self, node: Any, at: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in self._within(node):
            if not isinstance(key_node, yaml.ScalarNode):
                self._stop(at, key_node, "a key must be plain text")
                continue
            key = key_node.value
            here = join(at, key)
            if key in found:
                self._stop(here, key_node, f"the key `{key}` stands twice in one mapping: keep one")
            found[key] = self.value(value_node, here, depth + 1)
        return found

    def _within(self, node: Any) -> Any:
        return node.value if self._values <= DOCUMENT_ALIASES_MAX else ()

    def _scalar(self, node: Any, at: str) -> Any:
        if node.tag == _TEXT:
            return node.value
        wanted = None if node.tag == "?" else node.tag.removeprefix(_TAG)
        value = _plain(node.value)
        if wanted is None or (wanted in _KINDS and isinstance(value, _KINDS[wanted])):
            return value
        return self._stop(at, node, f"the tag `{node.tag}` does not fit here: leave it out")

    def _stop(self, at: str, node: Any, message: str) -> None:
        mistake = Mistake(at, f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}: {message}")
        if not self.mistakes or self.mistakes[-1].message.split(": ", 1)[1] != message:
            self.mistakes.append(mistake)


_KINDS: dict[str, tuple[type, ...]] = {
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
