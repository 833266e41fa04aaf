"""What must hold after every script that the store runs: one owner's commits, numbered by one, no gap in the feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson

from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys

_PARTITIONS = {PartitionKeys(partition).meta: partition for partition in range(16)}


class Broken(AssertionError):
    """An invariant does not hold. Ends the run."""


class StoreRules:
    """An observer of the server; `reset` before what was kept is told again. Own notes, so that a script cannot lie."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self.reset()
        self.commits = 0

    def reset(self) -> None:
        self._epochs: dict[int, int] = {}
        self._commits: dict[int, int] = {}
        self._numbered: dict[int, int] = {}
        self._sequences: dict[tuple[int, str], int] = {}

    def __call__(self, name: str, rest: Sequence[Any], answer: Any) -> None:
        if name == "takeover" and answer[0] == b"taken":
            self._taken(_partition(rest), answer[1])
        elif name == "commit" and answer[0] == b"ok":
            self._committed(_partition(rest), rest)
        elif name == "amend" and answer == b"":
            self._amended(_partition(rest), [int(rest[2]), *rest[3:]])

    def _taken(self, partition: int, flat: Sequence[bytes]) -> None:
        meta = dict(zip(flat[::2], flat[1::2], strict=True))
        epoch = int(meta[b"epoch"])
        if epoch <= self._epochs.get(partition, 0):
            raise Broken(f"partition {partition}: epoch {epoch} after {self._epochs.get(partition, 0)}")
        self._epochs[partition] = epoch
        self._note(f"  store {partition}: epoch {epoch} of", meta[b"owner"].decode(), "relays", meta.get(b"relays"))

    def _amended(self, partition: int, arguments: Sequence[Any]) -> None:
        """Fields of the meta, changed by the owner's relay: after a roll-back the commits number on further up."""
        epoch, fields = arguments[0], dict(zip(arguments[3::2], arguments[4::2], strict=True))
        if epoch != self._epochs.get(partition):
            raise Broken(f"partition {partition}: the relay of epoch {epoch} wrote, {self._epochs.get(partition)} owns")
        self._note(f"  store {partition}: epoch {epoch} notes", fields)
        if "commit" in fields:
            if int(fields["commit"]) <= self._commits.get(partition, 0):
                raise Broken(f"partition {partition}: commits go back to {fields['commit']}")
            self._commits[partition] = int(fields["commit"])

    def _committed(self, partition: int, rest: Sequence[Any]) -> None:
        head, blob = rest[-2], rest[-1]
        commit = msgspec.msgpack.decode(head)
        epoch, number = int(commit["epoch"]), int(commit["commit"])
        if epoch != self._epochs.get(partition):
            raise Broken(f"partition {partition}: epoch {epoch} wrote, {self._epochs.get(partition)} owns it")
        last = self._commits.get(partition, 0)
        if number != last + 1:
            raise Broken(f"partition {partition}: commit {number} after {last}")
        self._commits[partition] = number
        self.commits += 1
        told = dict(zip(commit["meta"][::2], commit["meta"][1::2], strict=True))
        self._note(f"  store {partition}: epoch {epoch} commits {number}, position {told['position']}")
        if commit["out_size"]:
            begin = sum(commit["sizes"])
            entry = msgspec.msgpack.decode(blob[begin : begin + commit["out_size"]], type=OutboxEntry)
            self._fed(partition, entry)

    def _fed(self, partition: int, entry: OutboxEntry) -> None:
        expected = self._numbered.get(partition, 0) + 1
        if entry.first_number != expected:
            raise Broken(f"partition {partition}: the feed goes on with {entry.first_number}, not {expected}")
        self._numbered[partition] = expected + len(entry.transitions) - 1
        for each in entry.transitions:
            name, _, sequence = orjson.loads(each)["id"].rpartition(":")
            key = partition, name
            if int(sequence) != self._sequences.get(key, 0) + 1:
                raise Broken(
                    f"partition {partition}: {name} goes on with {sequence} after {self._sequences.get(key, 0)}"
                )
            self._sequences[key] = int(sequence)
            self._note("   ", name, sequence)


def _partition(rest: Sequence[Any]) -> int:
    """The first key of each of these scripts is the partition's meta."""
    return _PARTITIONS[rest[1]]
