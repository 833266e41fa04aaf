"""`segmentd replay`: plays a recorded file, writes what came of it, says how it went."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import orjson
import typer
from rich.table import Table

from rules.plan import compile_plan
from rules.play import Partition
from rules.times import format_instant, parse_instant
from rules.transitions import Transition, render
from service.cli.files import Unreadable, good_segments
from service.cli.output import Work, fail, out, say
from service.replay.player import Played, play
from service.replay.recordings import open_recording


def run_replay(
    events: Path,
    segments: Sequence[Path],
    *,
    at: str | None,
    transitions: Path | None,
    memberships: Path | None,
    skip_bad: bool,
) -> None:
    """Exits with 1 if there were bad records (unless `skip_bad`), 2 if a file cannot be read at all."""
    end = None if at is None else _instant(at)
    plan = compile_plan([each.definition for each in good_segments(segments)])
    partition = Partition(plan)
    with ExitStack() as stack:
        recording = stack.enter_context(open_recording(events))
        write = stack.enter_context(_transitions_to(transitions))
        work = stack.enter_context(Work("replaying", recording.size))
        gc.freeze()  # the plan stays; what is folded has no cycles worth looking for so often
        played = play(recording, str(events), partition, end, write, lambda count: work.show(recording.done, count))
        seconds = work.seconds
    sizes = _write_memberships(partition, memberships)
    _tell(played, sizes, sorted(plan.segments), seconds)
    if played.bad_total:
        _tell_bad(played, skip_bad)
        if not skip_bad:
            sys.exit(1)


def _instant(text: str) -> int:
    instant = parse_instant(text)
    if instant is None:
        raise typer.BadParameter(f"{text} is no RFC 3339 instant, as 2026-11-20T09:00:00Z", param_hint="--at")
    return instant


@contextmanager
def _transitions_to(path: Path | None) -> Iterator[Callable[[Transition], None]]:
    if path is None:
        yield lambda _: None
        return
    with _written(path) as file:

        def write(change: Transition) -> None:
            file.write(render(change) + b"\n")

        yield write


def _written(path: Path) -> IO[bytes]:
    try:
        return path.open("wb", 1 << 20)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None


def _write_memberships(partition: Partition, path: Path | None) -> Counter[str]:
    """Writes who is in, by customer and segment; answers the size of each segment."""
    present = sorted(partition.memberships())
    if path is not None:
        with _written(path) as file:
            for customer_id, segment, since in present:
                line = {"customer_id": customer_id, "segment": segment, "since": format_instant(since)}
                file.write(orjson.dumps(line) + b"\n")
    return Counter(segment for _, segment, _ in present)


def _tell(played: Played, sizes: Counter[str], segments: Sequence[str], seconds: float) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("segment")
    for heading in ("members", "entered", "exited"):
        table.add_column(heading, justify="right")
    for segment in segments:
        numbers = (sizes[segment], played.entered[segment], played.exited[segment])
        table.add_row(segment, *(f"{number:,}" for number in numbers))
    out.print(table)
    rate = played.events / max(seconds, 1e-9)
    until = "" if played.at is None else f", up to {format_instant(played.at)}"
    say(
        f"{played.events:,} events in {seconds:.2f} s, {rate:,.0f} events/s; {played.transitions:,} transitions{until}",
        "bold",
    )
    if played.stopped:
        say("reading stopped at the first event past that")


def _tell_bad(played: Played, skip_bad: bool) -> None:
    for line in played.bad:
        fail(line)
    if played.bad_total > len(played.bad):
        fail(f"... and {played.bad_total - len(played.bad):,} more")
    what = "record was" if played.bad_total == 1 else "records were"
    fail(f"{played.bad_total:,} bad {what} left out" + ("" if skip_bad else " (--skip-bad makes that no failure)"))
