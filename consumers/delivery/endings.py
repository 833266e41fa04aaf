"""How a call ended, as it is stored: what is done with, what is tried again and when, what is given up."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from consumers.delivery.branch import Work
from consumers.delivery.metrics import Ending
from consumers.delivery.port import Done, Dropped, Failed, Gone, Item, Later, Outcome, Refused
from consumers.delivery.records import Kept, LogEntry, LogOutcome, encode
from consumers.delivery.schedule import next_attempt_ms
from consumers.delivery.settings import Settings

_ERROR_CHARS_MAX = 500
_SOON_MS = 1_000  # after an attempt before its time, at least


def new_kept(item: Item, lane: str, due_ms: int, commit: int, job: str = "") -> Kept:
    """An item that was never called."""
    return Kept(item, lane, 0, 0, 0, 0, due_ms, "", 0, job, commit)


class Endings:
    """For one process. `ended` answers how it is to be counted."""

    def __init__(self, settings: Settings, random: Random) -> None:
        self._settings, self._random = settings, random

    def known(self, work: Work, now_ms: int) -> Ending:
        """It was done before: it is not called."""
        self._settle(work, now_ms, "known", count="known", job="done")
        return "known"

    def stopped(self, work: Work, now_ms: int) -> Ending:
        """Its job was stopped: it is not called."""
        self._settle(work, now_ms, "dropped", "the job was stopped", count="dropped", job="dropped")
        return "dropped"

    def ended(self, work: Work, key: str, outcome: Outcome, now_ms: int, took_ms: int, remember: bool) -> Ending:
        """Into the draft: what becomes of it, the log, the counts."""
        branch, draft = work.branch, work.branch.draft
        match outcome:
            case Done(detail, status):
                if remember:
                    draft.done(branch.target, key, now_ms)
                draft.mark(branch.target, "last_done_ms", now_ms)
                self._called(work, now_ms)
                self._settle(work, now_ms, "done", detail, status, took_ms, count="done", job="done")
                return "done"
            case Dropped(why):
                self._settle(work, now_ms, "dropped", why, 0, took_ms, count="dropped", job="dropped")
                return "dropped"
            case Later(at_ms, why):
                at_ms = max(at_ms, now_ms + 1)
                kept = msgspec.structs.replace(work.kept, due_ms=at_ms)
                self._tell(work, now_ms, "later", why, 0, took_ms, at_ms)
                branch.postpone(work, "w", kept)
                return "later"
            case Refused(error, status):
                draft.mark(branch.target, "last_failed_ms", now_ms)
                self._called(work, now_ms, error, status)
                self._bury(work, now_ms, "refused", took_ms)
                return "refused"
            case Failed(error, status, retry_after_s):
                return self._failed(work, now_ms, took_ms, error, status, retry_after_s, "failed")
            case Gone(error, status):
                return self._failed(work, now_ms, took_ms, error, status, None, "gone")

    def _failed(
        self,
        work: Work,
        now_ms: int,
        took_ms: int,
        error: str,
        status: int,
        retry_after_s: float | None,
        how: Literal["failed", "gone"],
    ) -> Ending:
        branch, before = work.branch, work.kept
        branch.draft.mark(branch.target, "last_failed_ms", now_ms)
        branch.draft.count(branch.target, "failed")
        self._called(work, now_ms, error, status)
        if work.early:  # it costs it nothing: the schedule goes on as it was
            due_ms: int | None = max(before.due_ms, now_ms + _SOON_MS)
        else:
            work.kept = msgspec.structs.replace(work.kept, step=before.step + 1)
            asked_max = self._settings.retry_after_ms_max
            due_ms = next_attempt_ms(before.step + 1, now_ms, retry_after_s, self._random, asked_max)
        if due_ms is None:
            self._bury(work, now_ms, "given_up", took_ms)
            return "given_up"
        self._tell(work, now_ms, how, work.kept.error, status, took_ms, due_ms)
        branch.postpone(work, "r", msgspec.structs.replace(work.kept, due_ms=due_ms))
        return how

    def _called(self, work: Work, now_ms: int, error: str = "", status: int = 0) -> None:
        kept = work.kept
        work.kept = msgspec.structs.replace(
            kept,
            tries=kept.tries + 1,
            first_ms=kept.first_ms or now_ms,
            last_ms=now_ms,
            error=error[:_ERROR_CHARS_MAX],
            status=status,
        )

    def _bury(self, work: Work, now_ms: int, how: LogOutcome, took_ms: int) -> None:
        branch, kept = work.branch, work.kept
        dead = msgspec.structs.replace(kept, due_ms=0)
        branch.draft.dead(branch.target, kept.item.id, now_ms, encode(dead))
        self._settle(work, now_ms, how, kept.error, kept.status, took_ms, count="given_up", job="failed")

    def _settle(
        self,
        work: Work,
        now_ms: int,
        how: LogOutcome,
        detail: str = "",
        status: int = 0,
        took_ms: int = 0,
        *,
        count: str,
        job: str,
    ) -> None:
        draft = work.branch.draft
        draft.count(work.branch.target, count)
        if work.kept.job:
            draft.job_count(work.kept.job, job)
        self._tell(work, now_ms, how, detail, status, took_ms)
        work.branch.finish(work, now_ms)

    def _tell(
        self, work: Work, now_ms: int, how: LogOutcome, detail: str, status: int, took_ms: int, next_ms: int = 0
    ) -> None:
        item, kept = work.item, work.kept
        entry = LogEntry(
            at_ms=now_ms,
            outcome=how,
            item_id=item.id,
            kind=item.kind,
            customer_id=item.customer_id,
            segment=item.segment,
            number=item.number,
            attempt=kept.tries,
            status=status,
            detail=detail[:_ERROR_CHARS_MAX],
            took_ms=took_ms,
            next_ms=next_ms,
            job=kept.job,
            partition=item.partition,
            commit=kept.commit,
        )
        work.branch.draft.log(work.branch.target, encode(entry))


def lost_entry(partition: int, count: int, what: str, now_ms: int) -> LogEntry:
    """The log's word for what had left the feed before it was read."""
    detail = f"{count} {what} had left the feed before they were read"
    return LogEntry(at_ms=now_ms, outcome="lost", detail=detail, count=count, partition=partition)
