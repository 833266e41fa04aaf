"""How fast a connector calls, on the clock of the loop."""

from __future__ import annotations

import asyncio

import pytest

from consumers.connectors.pace import WAIT_S_MAX, NotYet, Pace


class Dreaming:
    """A clock that `asyncio.sleep` moves, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 100.0
        self._yield = asyncio.sleep
        monkeypatch.setattr("consumers.connectors.pace.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        until = self.seconds + seconds
        await self._yield(0)
        self.seconds = max(self.seconds, until)

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Dreaming:
    return Dreaming(monkeypatch)


async def begun(pace: Pace, clock: Dreaming, count: int) -> list[float]:
    times: list[float] = []

    async def one() -> None:
        async with pace.turn():
            times.append(clock.seconds)

    await asyncio.gather(*(one() for _ in range(count)))
    return times


async def test_no_second_has_more_requests_than_are_allowed(clock: Dreaming) -> None:
    times = await begun(Pace(7, 100, clock), clock, 30)
    assert len(times) == 30
    assert max(sum(begin <= time < begin + 0.999 for time in times) for begin in times) == 7
    assert times[-1] - times[0] < 29 / 7 * 1.1  # and hardly less is done than may be


async def test_without_a_bound_nobody_waits(clock: Dreaming) -> None:
    assert await begun(Pace(None, 100, clock), clock, 50) == [100.0] * 50


async def test_no_more_are_open_at_once_than_may_be(clock: Dreaming) -> None:
    pace = Pace(None, 3, clock)
    most = open_now = 0

    async def one() -> None:
        nonlocal most, open_now
        async with pace.turn():
            open_now += 1
            most = max(most, open_now)
            for _ in range(5):
                await asyncio.sleep(0)
            open_now -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert most == 3


async def test_a_short_pause_is_waited_for_and_a_long_one_is_told(clock: Dreaming) -> None:
    pace = Pace(None, 3, clock)
    pace.hold(2)
    assert await begun(pace, clock, 1) == [102.0]
    pace.hold(WAIT_S_MAX + 50)
    with pytest.raises(NotYet) as told:
        await begun(pace, clock, 1)
    assert told.value.seconds == pytest.approx(WAIT_S_MAX + 50)
    clock.seconds += WAIT_S_MAX + 50
    assert len(await begun(pace, clock, 2)) == 2


async def test_a_queue_that_is_too_long_is_put_off_and_keeps_no_place(clock: Dreaming) -> None:
    pace = Pace(1, 100, clock)
    results = await asyncio.gather(*(begun(pace, clock, 1) for _ in range(30)), return_exceptions=True)
    put_off = [each for each in results if isinstance(each, NotYet)]
    assert len(results) - len(put_off) == pytest.approx(WAIT_S_MAX + 1, abs=1)
    clock.seconds += 5
    assert len(await begun(pace, clock, 1)) == 1
