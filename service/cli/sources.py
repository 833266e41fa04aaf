"""The sources file as the commands read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consumers.intake.sources import Source, default_sources
from consumers.intake.sources_file import SourcesInvalid, read_sources
from rules.errors import SegmentdError
from service.settings import Settings


class SourcesUnreadable(SegmentdError):
    """The file cannot be read, or is wrong; the message has every mistake with its place."""

    status = 2


def sources_from(settings: Settings, path: Path | None) -> Sequence[Source]:
    """Of `--sources`, else of the setting, else the default ones. Raises SourcesUnreadable."""
    file = path or settings.sources_file
    if file is None:
        return default_sources()
    own = (settings.events_topic, settings.transitions_topic, settings.dead_letters_topic)
    try:
        return read_sources(file.read_bytes(), own)
    except OSError as error:
        raise SourcesUnreadable(f"{file}: {error.strerror}") from None
    except SourcesInvalid as error:
        told = [f"{file}: {each}" for each in str(error).splitlines()]
        raise SourcesUnreadable("\n".join(told)) from None
