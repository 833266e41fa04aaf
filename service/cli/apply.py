"""`segmentd segments diff` and `apply`: files are the truth, the service is made to follow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from rules.language import sentence
from rules.language.check import references
from rules.language.documents import Segment
from service.cli.defining import in_order
from service.cli.files import SegmentFile, across, refuse, segments_alone
from service.cli.output import fail, say
from service.cli.remote import Remote, ServerSaidNo, Standing, connect
from service.documents import parsed


@dataclass(frozen=True, slots=True)
class Difference:
    """What files say and the service does not. `changed`: (file, what stands, whether more than comments changed)."""

    added: tuple[SegmentFile, ...]
    changed: tuple[tuple[SegmentFile, Standing, bool], ...]
    missing: tuple[Standing, ...]  # in no file
    same: int

    @property
    def nothing(self) -> bool:
        return not (self.added or self.changed or self.missing)


def run_diff(paths: Sequence[Path], server: str, token: str | None, *, exit_code: bool) -> None:
    files = _files(paths)
    with connect(server, token) as remote:
        difference = compare(files, remote)
    for file in difference.added:
        say(f"+ {file.segment.id}: {sentence(file.segment)}", "green")
    for file, standing, meaning in difference.changed:
        say(f"~ {file.segment.id}{'' if meaning else _only(file, standing)}", "yellow")
        if meaning:
            say(f"    was  {standing.sentence}\n    now  {sentence(file.segment)}")
    for standing in difference.missing:
        say(f"- {standing.id}: in no file (apply --prune deletes it)", "red")
    counts = (len(difference.added), len(difference.changed), len(difference.missing), difference.same)
    say("{} to add, {} to change, {} in no file, {} the same".format(*counts), "bold")
    if exit_code and not difference.nothing:
        sys.exit(1)


def run_apply(paths: Sequence[Path], server: str, token: str | None, *, prune: bool) -> None:
    """Exits with 1 if the service refused anything; what came before that stays applied."""
    files = _files(paths)
    with connect(server, token) as remote:
        difference = compare(files, remote)
        standing = {file.segment.id: stands for file, stands, _ in difference.changed}
        wanted = [*difference.added, *(file for file, _, _ in difference.changed)]
        try:
            for file in in_order(wanted):
                text, media_type = file.body
                remote.put(file.segment.id, text, media_type, standing.get(file.segment.id))
                say(f"{'changed' if file.segment.id in standing else 'added'} {file.segment.id}")
            for gone in reversed(_standing_in_order(difference.missing)) if prune else ():
                remote.delete(gone)
                say(f"deleted {gone.id}")
        except ServerSaidNo as error:
            fail(str(error))
            sys.exit(1)
    left = "" if prune or not difference.missing else f", {len(difference.missing)} in no file (--prune deletes them)"
    say(f"{len(difference.added)} added, {len(difference.changed)} changed, {difference.same} the same{left}", "bold")


def compare(files: Sequence[SegmentFile], remote: Remote) -> Difference:
    standing = remote.segments()
    added, changed, same = [], [], 0
    for file in files:
        stands = standing.pop(file.segment.id, None)
        if stands is None:
            added.append(file)
        elif _plain(file) != stands.document:
            changed.append((file, stands, _meaning(file.segment) != _meaning(parsed(stands.document))))
        elif not file.is_json and file.text and remote.text(file.segment.id) != file.text:
            changed.append((file, stands, False))
        else:
            same += 1
    return Difference(tuple(added), tuple(changed), tuple(standing.values()), same)


def _files(paths: Sequence[Path]) -> list[SegmentFile]:
    """Documents that are right; one may name a segment that only the service has, so that is the service's to check."""
    files = segments_alone(paths)
    ids = {file.segment.id for file in files}
    whole = all(node.segment in ids for file in files for node in references(file.segment))
    refuse(across(files, references=whole))
    return files


def _plain(file: SegmentFile) -> object:
    return orjson.loads(orjson.dumps(file.raw))


def _meaning(segment: Segment) -> object:
    """A document but for its name and description: what decides who is a member."""
    return (segment.enter, segment.exit, segment.hold, segment.timezone, segment.list)


def _only(file: SegmentFile, standing: Standing) -> str:
    """What differs where the rule does not."""
    before, now = ({action.id: action for action in each.actions} for each in (parsed(standing.document), file.segment))
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        return f": only its actions differ ({', '.join(changed)})"
    return ": only its text (comments, order, name) differs"


def _standing_in_order(missing: Sequence[Standing]) -> list[Standing]:
    """Every segment after those it names."""
    by_id = {each.id: each for each in missing}
    files = [SegmentFile("", "", each.document, parsed(each.document)) for each in missing]
    return [by_id[file.segment.id] for file in in_order(files)]
