"""Segment documents and cases in files: found, read, and every mistake told with the file it is in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from rules.errors import Mistake, SegmentdError, SegmentInvalid
from rules.language import check_set, load_json, load_yaml_all, parse_document
from rules.language.documents import Segment
from rules.plan import Definition

SUFFIXES = (".yaml", ".yml", ".json")
CASE_SUFFIXES = (".cases.yaml", ".cases.yml", ".cases.json")
_CASES_KEY = re.compile(r"^(?:cases:|\{?\s*\"cases\"\s*:)", re.MULTILINE)
_DIVIDER = re.compile(r"^---(?:[ \t].*)?\n", re.MULTILINE)


class Unreadable(SegmentdError):
    """A file that was named cannot be read, or nothing was found; exit status 2."""

    status = 2


class FilesInvalid(SegmentdError):
    """Documents in files are wrong: one line a mistake, each with its file."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One good document. `place`: its file, with its number where there are several; `text` as the author wrote it."""

    place: str
    text: str
    raw: dict[str, Any]
    segment: Segment

    @property
    def is_json(self) -> bool:
        """Whether the text is a JSON object (which is YAML too)."""
        return self.text.lstrip().startswith("{")

    @property
    def body(self) -> tuple[str, str]:
        """What is sent and kept: the author's text where it is YAML, otherwise JSON; and its content type."""
        if self.text and not self.is_json:
            return self.text, "application/yaml"
        return orjson.dumps(self.raw).decode(), "application/json"

    @property
    def definition(self) -> Definition:
        return Definition(self.segment.id, document=self.raw)


@dataclass(frozen=True, slots=True)
class BadFile:
    """A document that is wrong."""

    place: str
    mistakes: tuple[Mistake, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.place}: {mistake}" for mistake in self.mistakes)


def is_cases(path: Path) -> bool:
    return path.name.endswith(CASE_SUFFIXES)


def found_files(paths: Iterable[Path], *, cases: bool) -> list[Path]:
    """The files that `paths` name, and those in directories (all the way down): cases, or everything but cases.

    A file of the other kind that was named itself is left out too, so that `*.yaml` may be written. Raises Unreadable.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name.endswith(SUFFIXES))
            found.update(dict.fromkeys(each for each in inside if is_cases(each) == cases))
        elif not path.exists():
            raise Unreadable(f"{path}: there is no such file or directory")
        elif is_cases(path) == cases:
            found[path] = None
        elif cases and (beside := _cases_of(path)):
            found[beside] = None
    if not found:
        kind = "cases (*.cases.yaml)" if cases else "segment documents (*.yaml)"
        raise Unreadable(f"there are no {kind} in {', '.join(map(str, paths))}")
    return list(found)


def _cases_of(path: Path) -> Path | None:
    """The cases beside a segment's file, or the file itself if it holds cases under another name."""
    for suffix in CASE_SUFFIXES:
        if (beside := path.with_name(path.stem + suffix)).is_file():
            return beside
    return path if _CASES_KEY.search(read_text(path)) else None


def read_text(path: Path) -> str:
    """Raises Unreadable."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path}: is not UTF-8 (byte {error.start})") from None


def read_segments(paths: Sequence[Path]) -> tuple[list[SegmentFile], list[BadFile]]:
    """All documents in the files of `paths`, the good and the bad. A file may hold several, divided by `---`."""
    good: list[SegmentFile] = []
    bad: list[BadFile] = []
    for path in found_files(paths, cases=False):
        text = read_text(path)
        try:
            documents = _documents(path, text)
        except SegmentInvalid as error:
            bad.append(BadFile(str(path), error.mistakes))
            continue
        if not documents:
            bad.append(BadFile(str(path), (Mistake("", "the file is empty"),)))
        texts = _texts(text, len(documents))
        for number, raw in enumerate(documents):
            place = str(path) if len(documents) == 1 else f"{path} (document {number + 1})"
            try:
                good.append(SegmentFile(place, texts[number], raw, parse_document(raw)))
            except SegmentInvalid as error:
                bad.append(BadFile(place, error.mistakes))
    return good, bad


def _documents(path: Path, text: str) -> list[Any]:
    if path.suffix == ".json":
        return [load_json(text)]
    return [each for each in load_yaml_all(text) if each is not None]


def _texts(text: str, count: int) -> list[str]:
    """Each document's own text; empty where the file cannot be cut into them."""
    if count == 1:
        return [text]
    pieces = [piece for piece in _DIVIDER.split(text) if any(_says_something(line) for line in piece.splitlines())]
    return pieces if len(pieces) == count else [""] * count


def _says_something(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith(("#", "%"))


def across(files: Sequence[SegmentFile], *, references: bool = True) -> list[BadFile]:
    """What is wrong with good documents when they are seen together: ids that stand twice, references, rings.

    `references` False: what they name and nobody here is may be elsewhere, so only ids are looked at.
    """
    places: dict[str, list[str]] = {}
    for each in files:
        places.setdefault(each.segment.id, []).append(each.place)
    twice = [
        BadFile(others[-1], (Mistake("id", f"`{segment_id}` is also the id in {', '.join(others[:-1])}"),))
        for segment_id, others in places.items()
        if len(others) > 1
    ]
    if not references:
        return twice
    mistakes = check_set({each.segment.id: each.segment for each in reversed(files)}, segments_max=len(files) + 1)
    told = [BadFile(places[each.document][0], (Mistake(each.at, each.message),)) for each in mistakes]
    return twice + told


def good_segments(paths: Sequence[Path]) -> list[SegmentFile]:
    """The documents of `paths`, which are right one by one and together. Raises Unreadable, FilesInvalid."""
    good = segments_alone(paths)
    refuse(across(good))
    return good


def segments_alone(paths: Sequence[Path]) -> list[SegmentFile]:
    """The same, each right by itself; what they name may stand elsewhere."""
    good, bad = read_segments(paths)
    refuse(bad)
    return good


def refuse(wrong: Sequence[BadFile]) -> None:
    """Raises FilesInvalid if anything is wrong."""
    if wrong:
        raise FilesInvalid("\n".join(str(each) for each in wrong))
