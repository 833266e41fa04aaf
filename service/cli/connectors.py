"""`segmentd connectors list | check`: which systems can be called, and what is wrong in connectors of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from consumers.connectors.documents import Document
from consumers.connectors.load import OF_CODE, packaged_documents, read_directory, read_files
from consumers.connectors.parse import ConnectorInvalid
from service.cli.output import fail, say


def run_list(directory: Path | None) -> None:
    """Every connector that is a document, its calls, and what they take. Raises ConnectorInvalid."""
    own = {document.name: document for document in (read_directory(directory) if directory is not None else ())}
    known = {document.name: document for document in packaged_documents()} | own
    for name in sorted(known):
        document = known[name]
        where = f"  ({document.source})" if name in own else ""
        say(f"{name}{where}", "bold")
        if document.about:
            say(f"  {document.about}")
        for line in _calls(document):
            say(line)
    say(f"besides, no documents: {', '.join(OF_CODE)}")


def _calls(document: Document) -> Iterator[str]:
    for call in document.calls.values():
        back = ", also `on: member`" if call.remove is not None else ""
        yield f"  {document.name}.{call.name}{back}" + (f": {call.about}" if call.about else "")
        for name, parameter in call.parameters.items():
            needed = "" if parameter.needed else "  (not needed)"
            yield f"    {name}{needed}" + (f": {parameter.about}" if parameter.about else "")


def run_check(paths: Sequence[Path]) -> None:
    """Exits with 1 if any document in the files or directories is wrong."""
    right, wrong = 0, 0
    for path in paths:
        try:
            documents = read_directory(path) if path.is_dir() else read_files([path])
        except ConnectorInvalid as error:
            wrong += len({mistake.document for mistake in error.mistakes})
            fail(str(error))
            continue
        for document in documents:
            right += 1
            say(f"{document.name}: {', '.join(document.call_names)}")
    say(f"{right} valid, {wrong} invalid", "bold")
    if wrong:
        sys.exit(1)
