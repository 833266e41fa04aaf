"""`segmentd status`: where every partition of a running service stands, as a table."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from service.cli.output import fail, out, say
from service.cli.remote import Remote, ServerSaidNo, connect

WATCH_S = 2.0
_WIDE = 200  # columns where there is no terminal to fit into
_UNKNOWN = "–"

Row = dict[str, Any]
_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("partition", lambda row: str(row["partition"])),
    ("owner", lambda row: row["owner"] or _UNKNOWN),
    ("epoch", lambda row: str(row["epoch"])),
    ("position", lambda row: row["position"]),
    ("log end", lambda row: row["log_end"] or _UNKNOWN),
    ("lag", lambda row: _count(row["lag_records"])),
    ("clock", lambda row: row["clock"] or _UNKNOWN),
    ("clock lag", lambda row: _duration(row["clock_lag_ms"])),
    ("customers", lambda row: _count(row["customers"])),
    ("due", lambda row: _count(row["timers_due"])),
    ("next due", lambda row: row["next_due"] or _UNKNOWN),
    ("relay lag", lambda row: _count(row["relay_lag"])),
    ("trouble", lambda row: _trouble(row)),
)
_LEFT = frozenset({"owner", "clock", "next due", "trouble"})


def run_status(server: str, token: str | None, *, as_json: bool, watch: bool) -> None:
    """Exits with 1 if the service is not ready, or cannot be asked. `watch`: until Ctrl-C, then by the last answer."""
    with connect(server, token) as remote:
        if not watch:
            found = remote.status()
            _show(found, as_json)
            ready = bool(found["ready"])
        elif as_json or not out.is_terminal:
            ready = _watch(remote, lambda found: _show(found, as_json), fail)
        else:
            with Live(console=out, auto_refresh=False) as live:
                update = functools.partial(live.update, refresh=True)
                ready = _watch(remote, lambda found: update(shown(found)), lambda why: update(_red(why)))
    if not ready:
        sys.exit(1)


def _watch(remote: Remote, show: Callable[[Row], None], away: Callable[[str], None]) -> bool:
    """Whether it was ready at last. A service that cannot be asked now may be back in a moment: that is watched for."""
    ready = False
    try:
        while True:
            try:
                found = remote.status()
                ready = bool(found["ready"])
                show(found)
            except ServerSaidNo as error:
                ready = False
                away(str(error))
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        return ready


def _show(found: Row, as_json: bool) -> None:
    if as_json:
        say(orjson.dumps(found).decode())
    else:
        (out if out.is_terminal else Console(width=_WIDE, highlight=False)).print(shown(found))


def _red(why: str) -> Text:
    return Text(why, style="red")


def shown(found: dict[str, Any]) -> RenderableType:
    """The answer of `/v1/status` for people: a headline, what is wrong, and a line for each partition."""
    state = Text("ready", style="green") if found["ready"] else Text("not ready", style="bold red")
    counts = (
        f"{_count(found['segments'])} segments, {_count(found['customers'])} customers, "
        f"{_count(found['lag_records'])} records behind, {_count(found['dead_letters'])} dead letters"
    )
    lines = [Text.assemble(state, ": ", counts)]
    lines += [Text(f"  {reason}", style="red") for reason in found["reasons"]]
    lines += [Text(f"  {warning}", style="yellow") for warning in found["warnings"]]
    return Group(*lines, _table(found["partitions"]))


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, _ in _COLUMNS:
        table.add_column(title, justify="left" if title in _LEFT else "right", overflow="fold")
    for row in rows:
        wrong = row["trouble"] or not row["owner"]
        table.add_row(*(Text(cell(row)) for _, cell in _COLUMNS), style="red" if wrong else None)
    return table


def _trouble(row: Row) -> str:
    """It names its partition, which stands in front already."""
    found: str = row["trouble"] or ("recovering" if row["recovering"] else "")
    return found.removeprefix(f"partition {row['partition']}: ")


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"


def _duration(ms: int | None) -> str:
    """For people.

    >>> [_duration(ms) for ms in (None, 0, 850, 90_000, 7_500_000)]
    ['–', '0 s', '0.8 s', '90 s', '125 min']
    """
    if ms is None:
        return _UNKNOWN
    if ms >= 600_000:
        return f"{ms // 60_000:,} min"
    return f"{ms / 1000:.1f} s" if 0 < ms < 10_000 else f"{ms // 1000} s"
