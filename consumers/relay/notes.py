"""Writing down in the store how far the topic is: now and then, for days that are not every day (decision 010)."""

from __future__ import annotations

from consumers.relay.headers import write_note
from consumers.relay.lines import Lines
from consumers.relay.settings import Settings
from consumers.state.commit import Reload
from consumers.state.relaying import note_relayed
from consumers.state.store import Store


async def note_places(store: Store, lines: Lines, settings: Settings, now: float) -> None:
    """Of the lines that have moved since their note, when that is some time ago, or nothing moves any more.

    `now`: steady seconds. A line that is another's by the store is lost. Raises Unavailable.
    """
    for line in lines:
        idle = now - line.moved_at >= settings.note_idle_ms / 1000
        due = now - line.noted_at >= settings.note_ms / 1000
        if line.place == line.noted or not (idle or due) or not lines.holds(line):
            continue
        place, note = line.place, write_note(line.place, line.skips)
        line.noted_at = now
        try:
            await note_relayed(store, line.keys, line.holder, note, place.commit)
            line.noted = place
        except Reload:
            lines.lose(line)
