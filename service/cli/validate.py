"""`segmentd segments validate`: every mistake in the files, or what they say in plain words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rules.language import sentence
from service.cli.files import across, read_segments
from service.cli.output import fail, say


def run_validate(paths: Sequence[Path]) -> None:
    """Exits with 1 if any document is wrong, alone or among the others."""
    good, bad = read_segments(paths)
    wrong = bad + across(good)
    for each in wrong:
        fail(str(each))
    places = {each.place for each in wrong}
    right = [each for each in good if each.place not in places]
    for file in right:
        say(f"{file.segment.id}: {sentence(file.segment)}")
    say(f"{len(right)} valid, {len(places)} invalid", "bold")
    if wrong:
        sys.exit(1)
