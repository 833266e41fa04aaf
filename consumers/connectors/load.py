"""Brings connectors together: the packaged ones, and the user's own from a directory, all checked at start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import structlog

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.credentials import Caller
from consumers.connectors.documents import Document
from consumers.connectors.http import HttpConnector
from consumers.connectors.parse import ConnectorInvalid, read_connector
from consumers.connectors.port import Connectors
from consumers.connectors.secrets import Secrets
from rules.errors import Mistake

PACKAGED = Path(__file__).parent / "packaged"
OF_CODE = ("mail", "profile", "segment")
"""Connectors that are code; no document may have one of these names."""
_SUFFIXES = (".yaml", ".yml", ".json")
_log = structlog.get_logger("connectors")


def load_connectors(
    directory: Path | None,
    caller: Caller,
    secrets: Secrets,
    *,
    clock: Clock = SYSTEM_CLOCK,
    environment: Mapping[str, str] | None = None,
) -> Connectors:
    """Every connector that is a document. One of the user's with the name of a packaged one replaces it, which is
    logged. Raises ConnectorInvalid with every mistake of every file."""
    own = read_directory(directory) if directory is not None else ()
    packaged = {document.name for document in packaged_documents()}
    for document in own:
        if document.name in packaged:
            _log.info("connector replaced", connector=document.name, by=document.source)
    return Connectors(
        HttpConnector(document, caller, secrets, clock, environment) for document in (*packaged_documents(), *own)
    )


@lru_cache(maxsize=1)
def packaged_documents() -> Sequence[Document]:
    """Those that come with the service, in order of name."""
    return read_files(sorted(PACKAGED.glob("*.yaml")))


def read_directory(directory: Path) -> Sequence[Document]:
    """All documents in a directory. Raises ConnectorInvalid, also where there is no such directory."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    except OSError as error:
        raise ConnectorInvalid([Mistake("", f"cannot be read: {error.strerror}", str(directory))]) from None
    return read_files(paths)


def read_files(paths: Iterable[Path]) -> Sequence[Document]:
    """The documents of some files, whose names differ. Raises ConnectorInvalid; a mistake's document is its file."""
    found: dict[str, Document] = {}
    wrong: list[Mistake] = []
    for path in paths:
        try:
            document = read_connector(path.read_bytes(), str(path))
        except OSError as error:
            wrong.append(Mistake("", f"cannot be read: {error.strerror}", str(path)))
            continue
        except ConnectorInvalid as error:
            wrong += [Mistake(each.at, each.message, str(path)) for each in error.mistakes]
            continue
        if document.name in OF_CODE:
            wrong.append(Mistake("connector", f"`{document.name}` is no document: take another name", str(path)))
        elif document.name in found:
            other = found[document.name].source
            wrong.append(Mistake("connector", f"`{document.name}` is also the name in {other}", str(path)))
        found.setdefault(document.name, document)
    if wrong:
        raise ConnectorInvalid(wrong)
    return tuple(sorted(found.values(), key=lambda document: document.name))
