"""An event loop in virtual time: no threads, no sockets; when nothing is ready the clock jumps to the next timer.

What runs belongs to a simulated process (a context variable, inherited by its tasks). A dead process's callbacks are
dropped, a paused one's are kept until it wakes: as after SIGKILL and SIGSTOP.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

BEGIN_MS = 1_767_225_600_000  # 2026-01-01: what the simulated clocks show at time 0


class Process:
    """One simulated process of the service."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.held: list[asyncio.Handle] = []
        self.failure: BaseException | None = None  # ended by itself, which it never should

    def __repr__(self) -> str:
        return self.name


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
OUTSIDE = contextvars.Context()
"""Of servers and the network: goes on whatever happens to the process that asked."""


class Crash(BaseException):
    """Ends the task that reaches a failpoint; its process is dead by then."""


class Stuck(AssertionError):
    """Nothing can ever happen any more, though the simulation is not over; or far too much happened."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`seconds` is the virtual time. `steps` counts callbacks: more than `steps_max` is an endless loop."""

    def __init__(self, steps_max: int = 2_000_000) -> None:
        super().__init__()
        self.seconds = 0.0
        self.steps = 0
        self._steps_max = steps_max
        self._tasks: list[asyncio.Task[Any]] = []
        self._gone: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self.seconds

    def spend(self, seconds: float) -> None:
        """Time that a computation takes: it passes for everybody."""
        self.seconds += seconds

    def now_ms(self) -> int:
        return BEGIN_MS + int(self.seconds * 1000)

    def outside(self, seconds: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call it then, whatever becomes of the process that is running now."""
        self.call_later(seconds, callback, *args, context=OUTSIDE)

    def start(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this process; the tasks it makes are the process's too."""
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        return self.create_task(coroutine, context=context)

    def go(self, coroutine: Coroutine[Any, Any, Any], process: Process | None = None) -> None:
        """The same, of nobody or of a process, and nobody asks how it ended."""
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        self._gone.append(self.create_task(coroutine, context=context))

    def resume(self, process: Process) -> None:
        process.paused = False
        self._ready.extend(process.held)  # type: ignore[attr-defined]
        process.held.clear()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **kwargs)
        self._tasks.append(task)
        return task

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise Stuck("everything waits for something that never comes")
            self.seconds = max(self.seconds, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.seconds:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            self._run_handle(ready.popleft())

    def _run_handle(self, handle: Any) -> None:
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)
        if process is not None:
            if not process.alive:
                return
            if process.paused:
                process.held.append(handle)
                return
        self.steps += 1
        if self.steps > self._steps_max:
            raise Stuck("the simulation does not come to an end")
        handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    def _write_to_self(self) -> None: ...

    def _process_events(self, event_list: Any) -> None: ...

    def bury(self) -> None:
        """Let go of every task that never ended, without a word."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what they had begun and never awaited
            self._bury()

    def _bury(self) -> None:
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not task.done():
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
            elif not task.cancelled():
                task.exception()
        self._tasks.clear()
        self._gone.clear()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]


@contextlib.contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop of its own beside whatever loop the caller runs in."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        loop.bury()
        loop.close()
        asyncio._set_running_loop(running)


class SimClock:
    """A process's own clocks: `skew_ms` off the true time. Asking the steady one may take a while: a busy machine."""

    def __init__(self, loop: VirtualLoop, skew_ms: int, lag: Callable[[], float]) -> None:
        self._loop, self._skew_ms, self._lag = loop, skew_ms, lag

    def now_ms(self) -> int:
        return self._loop.now_ms() + self._skew_ms

    def monotonic(self) -> float:
        seconds = self._lag()
        if seconds:
            self._loop.spend(seconds)
        return self._loop.seconds + 1_000.0
