"""Every key that the service writes, and who owns it. A partition's keys share one hash tag, so one slot.

| key | type | written by | what |
|---|---|---|---|
| `sg:{p}:log` | stream | whoever appends (`log/redis_streams`) | the log; trimmed behind its readers |
| `sg:{p}:meta` | hash | the owner's commit, `show`, `takeover` | epoch, owner, seen, commit, position, clock, ... |
| `sg:{p}:c:<customer>` | string | commit | the profile (`rules.profile.encode`) |
| `sg:{p}:m:<segment>` | zset | commit | members: customer -> since (ms); gone when empty |
| `sg:{p}:timers` | zset | commit | customer -> wake (ms), for those who have one |
| `sg:{p}:judged` | zset | commit | customer -> edition last judged by: all customers |
| `sg:{p}:out` | stream | commit | the feed: one packed entry a commit, id `<commit>-0`; capped |
| `sg:{p}:dead` | stream | commit | dead letters; capped |
| `sg:{p}:defs` | string | commit | definitions, editions not yet settled, collections |
| `sg:{registry}:segments` | hash | `registry` | segment -> document as its author gave it |
| `sg:{registry}:revision` | string | `registry` | grows with every change |
| `sg:{log}:partitions` | string | `RedisLog.prepare` | how many partitions: fixed |

No key expires: what may grow is capped or trimmed by its owner.
"""

from __future__ import annotations

REGISTRY = "sg:{registry}:segments"
REVISION = "sg:{registry}:revision"
PARTITIONS = "sg:{log}:partitions"
SHOWN_CHANNEL = "sg:shown"
"""Publish/subscribe: a partition's number whenever it shows a commit. Only a hint to look; nothing hangs on it."""


class PartitionKeys:
    """The keys of one partition."""

    __slots__ = ("dead", "definitions", "judged", "log", "members_prefix", "meta", "out", "profile_prefix", "timers")

    def __init__(self, partition: int) -> None:
        tag = f"sg:{{{partition}}}:"
        self.log = tag + "log"
        self.meta = tag + "meta"
        self.timers = tag + "timers"
        self.judged = tag + "judged"
        self.out = tag + "out"
        self.dead = tag + "dead"
        self.definitions = tag + "defs"
        self.profile_prefix = tag + "c:"
        self.members_prefix = tag + "m:"

    def profile(self, customer_id: str) -> str:
        return self.profile_prefix + customer_id

    def members(self, segment: str) -> str:
        return self.members_prefix + segment
