"""Every key that the service writes, and who owns it. A partition's keys share one hash tag, so one slot.

| key | type | written by | what |
|---|---|---|---|
| `sg:{p-xx}:log` | stream | whoever appends (`log/redis_streams`) | the log; trimmed behind its readers |
| `sg:{p-xx}:meta` | hash | commit, `show`, `takeover`, `repair`, `rebuild` | epoch, owner, commit, position, clock |
| `sg:{p-xx}:c:<customer>` | string | commit | the profile (`rules.profile.encode`) |
| `sg:{p-xx}:m:<segment>` | zset | commit | members: customer -> since (ms); gone when empty |
| `sg:{p-xx}:timers` | zset | commit | customer -> wake (ms), for those who have one |
| `sg:{p-xx}:judged` | zset | commit | customer -> edition last judged by: all customers |
| `sg:{p-xx}:out` | stream | commit | the feed: one packed entry a commit, id `<commit>-0`; capped |
| `sg:{p-xx}:dead` | stream | commit | dead letters; capped |
| `sg:{p-xx}:defs` | string | commit | definitions, editions not yet settled, collections |
| `sg:{p-xx}:d` | hash | `deliver`, `deliver_claim` | deliveries: epoch, owner, lease, slowest cursor |
| `sg:{p-xx}:dc` | hash | `deliver` | target -> how far it is in the feed |
| `sg:{p-xx}:dn` | hash | `deliver` | counts of a target: done, failed, given up ... |
| `sg:{p-xx}:dj` | hash | `deliver` | progress of jobs; cleared when they end |
| `sg:{p-xx}:dp:<target>` | hash | `deliver` | parked items by number; capped |
| `sg:{p-xx}:dw:<target>` | zset | `deliver` | of these, waiting for their time: number -> due (ms) |
| `sg:{p-xx}:dr:<target>` | zset | `deliver` | of these, to be tried again: number -> due (ms) |
| `sg:{p-xx}:dl:<target>` | zset | `deliver` | lane and number of every parked item that has a lane |
| `sg:{p-xx}:dd:<target>` | hash | `deliver` | given up: item -> record; capped |
| `sg:{p-xx}:da:<target>` | zset | `deliver` | of these, since when: item -> ms |
| `sg:{p-xx}:dg:<target>` | stream | `deliver` | log of attempts; capped |
| `sg:{p-xx}:dk:<target>` | zset | `deliver` | keys that are done -> when (ms); trimmed after 30 days, capped |
| `sg:{p-xx}:ac:<target>:<customer>` | zset | `action_count` | calls that a limit counts: key -> when (ms); expires |
| `sg:{actions}:runs` | hash | `action_run` | action -> its newest run by calendar (ms) |
| `sg:{deliveries}:workers` | zset | `deliver_workers` | delivery workers -> last heard of (ms) |
| `sg:{deliveries}:up` | hash | delivery workers | target that was down -> since when it is not (ms) |
| `sg:{deliveries}:open` | hash | `delivery.jobs` | jobs that have not ended |
| `sg:{deliveries}:jobs` | hash | `delivery.jobs` | jobs that have, with their counts; capped |
| `sg:{deliveries}:jobs-at` | zset | `delivery.jobs` | of these, when they began (ms) |
| `sg:{registry}:segments` | hash | `registry` | segment -> document as its author gave it |
| `sg:{registry}:revision` | string | `registry` | grows with every change |
| `sg:{registry}:edits:<segment>` | stream | `registry` | who changed it, and how; capped |
| `sg:{subscriptions}:entries` | hash | `webhooks/registry` | subscription to webhooks -> document, keys, state |
| `sg:{subscriptions}:revision` | string | `webhooks/registry` | grows with every change |
| `sg:{subscriptions}:failing` | hash | delivery workers | subscription -> since when every attempt fails (ms) |
| `sg:{imports}:heads` | hash | `imports` | import of members -> how far it is; capped |
| `sg:{imports}:mistakes` | hash | `imports` | import of members -> what was wrong in its file; capped |
| `sg:{log}:partitions` | string | `RedisLog.prepare` | how many partitions: fixed |
| `sg:{mail}:suppressed` | hash | `connectors/mail` | keyed hash of an address -> why it gets no mail; for ever |

No key expires but the one that says so: what may grow is capped or trimmed by its owner.

**Tags.** `p-xx` is the partition's number and two or three characters that put it in its slot (`tag`). Nodes of a
cluster hold ranges of the 16,384 slots, so partitions are laid out as the van der Corput sequence: 0, 1/2, 1/4, 3/4,
1/8, 5/8 ... of all slots. A power of two of partitions is then spread over any number of equal ranges to within one,
any other number up to 256 to within five (plain numbers: 32 on three nodes as 13, 11, 8). The tags follow from the
number alone, for ever; to find a partition's keys by hand: `SCAN 0 MATCH sg:{17-*`.
"""

from __future__ import annotations

import binascii
import itertools
import string
from functools import cache
from typing import Literal

REGISTRY = "sg:{registry}:segments"
REVISION = "sg:{registry}:revision"
SUBSCRIPTIONS = "sg:{subscriptions}:entries"
SUBSCRIPTIONS_REVISION = "sg:{subscriptions}:revision"
SUBSCRIPTIONS_FAILING = "sg:{subscriptions}:failing"
PARTITIONS = "sg:{log}:partitions"
ACTION_RUNS = "sg:{actions}:runs"
IMPORTS = "sg:{imports}:heads"
IMPORT_MISTAKES = "sg:{imports}:mistakes"
SUPPRESSED = "sg:{mail}:suppressed"
DELIVERY_WORKERS = "sg:{deliveries}:workers"
DELIVERY_UP = "sg:{deliveries}:up"
DELIVERY_OPEN = "sg:{deliveries}:open"
DELIVERY_JOBS = "sg:{deliveries}:jobs"
DELIVERY_JOBS_AT = "sg:{deliveries}:jobs-at"
SHOWN_CHANNEL = "sg:shown"
"""Publish/subscribe: a partition's number whenever it shows a commit. Only a hint to look; nothing hangs on it."""


def edits_key(segment: str) -> str:
    """Who changed a segment, and how."""
    return f"sg:{{registry}}:edits:{segment}"


SLOTS = 16_384
_PLACES = 1_024  # that partitions are laid out on, each 16 slots wide; more partitions begin anew
_LETTERS = string.digits + string.ascii_letters


def slot_of(key: str) -> int:
    """The slot of a key, as a cluster computes it: of the part between the first `{` and the next `}`, if any."""
    begin = key.find("{")
    if begin >= 0 and (end := key.find("}", begin + 1)) > begin + 1:
        key = key[begin + 1 : end]
    return binascii.crc_hqx(key.encode(), 0) % SLOTS


@cache
def tag(partition: int) -> str:
    """The partition's hash tag: its number, and what makes its slot lie at `partition`'s place of the sequence.

    >>> [(tag(p), slot_of(tag(p)) * 100 // SLOTS) for p in range(4)]
    [('0-1r', 0), ('1-dO', 50), ('2-4g', 25), ('3-03', 75)]
    """
    place = int(f"{partition % _PLACES:010b}"[::-1], 2)
    for length in (2, 3):
        for letters in itertools.product(_LETTERS, repeat=length):
            text = f"{partition}-{''.join(letters)}"
            if slot_of(text) * _PLACES // SLOTS == place:
                return text
    raise AssertionError(f"no tag for partition {partition}")


DeliveryKey = Literal["p", "w", "r", "l", "d", "a", "g", "k"]
"""Parked, waiting, retried, lanes; dead, dead at; log; done keys: see the table."""


class PartitionKeys:
    """The keys of one partition."""

    __slots__ = (
        *("dead", "definitions", "judged", "log", "members_prefix", "meta", "out", "prefix", "profile_prefix"),
        *("timers", "delivered", "deliveries", "delivery_cursors", "delivery_jobs"),
    )

    def __init__(self, partition: int) -> None:
        self.prefix = prefix = f"sg:{{{tag(partition)}}}:"
        self.log = prefix + "log"
        self.meta = prefix + "meta"
        self.timers = prefix + "timers"
        self.judged = prefix + "judged"
        self.out = prefix + "out"
        self.dead = prefix + "dead"
        self.definitions = prefix + "defs"
        self.deliveries = prefix + "d"
        self.delivery_cursors = prefix + "dc"
        self.delivered = prefix + "dn"
        self.delivery_jobs = prefix + "dj"
        self.profile_prefix = prefix + "c:"
        self.members_prefix = prefix + "m:"

    def profile(self, customer_id: str) -> str:
        return self.profile_prefix + customer_id

    def members(self, segment: str) -> str:
        return self.members_prefix + segment

    def action_count(self, target: str, customer_id: str) -> str:
        """The calls of a target about one customer that its limit counts."""
        return f"{self.prefix}ac:{target}:{customer_id}"

    def delivery(self, what: DeliveryKey, target: str) -> str:
        """One of a target's own keys."""
        return f"{self.prefix}d{what}:{target}"
