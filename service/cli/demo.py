"""`segmentd demo`: the sample shop through the whole embedded service, over HTTP; its directory goes afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import orjson
from rich.table import Table

from service import logs
from service.auth import Tokens
from service.cli.defining import define
from service.cli.files import SegmentFile, good_segments
from service.cli.output import Work, out, say
from service.cli.running import CannotStart, Signals, run, serve, settings_from
from service.cli.view import line_of, styled
from service.sample import excerpt, library_files
from service.sample.traffic import history
from service.settings import Settings
from service.wiring import Services

BATCH = 250  # events a request
SETTLE_S = 30
TOLD = 12  # transitions shown
SEGMENTS = (
    "active-customers",
    "best-customers",
    "bought-heart-holder",
    "buyers-abroad",
    "churned-customers",
    "churning-customers",
    "early-churn",
    "few-orders-6-months",
    "first-order-large",
    "frequent-returners",
    "late-churn",
    "loyal-orders",
    "loyal-to-christmas",
    "lunch-bag-collectors",
    "new-customers",
    "new-high-potential",
    "no-returns",
    "no-second-order",
    "premium",
    "replenish-napkins",
    "spend-100",
    "spend-1000",
    "spend-500",
    "spend-below-100",
)


def run_demo(events_max: int | None) -> None:
    """Exits with 1 if it could not be played to its end."""
    logs.configure("warning")
    files = good_segments(library_files(SEGMENTS))
    with tempfile.TemporaryDirectory(prefix="segmentd-demo-") as directory:
        mine = {"data_dir": Path(directory), "http_host": "127.0.0.1", "http_port": 0}
        settings = settings_from().model_copy(update={**mine, "redis_url": None, "tokens": Tokens(())})
        run(lambda signals: _demo(settings, signals, files, events_max))


async def _demo(settings: Settings, signals: Signals, files: Sequence[SegmentFile], events_max: int | None) -> bool:
    played = False

    async def prepare(services: Services) -> None:
        await define(services, files)
        say(f"{len(files)} segments of the library are defined; playing the sample shop, moved to end now")

    async def play(services: Services, url: str) -> None:
        nonlocal played
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=SETTLE_S * 2) as client:
                position = await services.feed.now()
                await _post(client, events_max)
                await _tell(client, services, position)
                played = True
        finally:
            services.closing.set()

    well = await serve(settings, signals, evaluate=True, prepare=prepare, beside=[play])
    return well and played


async def _post(client: httpx2.AsyncClient, events_max: int | None) -> None:
    events = history(list(excerpt()), time.time_ns() // 1_000_000)[:events_max]
    done = 0
    with Work("posting", len(events)) as work:
        for begin in range(0, len(events), BATCH):
            batch = events[begin : begin + BATCH]
            wait = {"Prefer": f"wait={SETTLE_S}"} if begin + BATCH >= len(events) else {}
            headers = {"Content-Type": "application/x-ndjson", **wait}
            answer = await client.post("/v1/events", content=b"\n".join(map(orjson.dumps, batch)), headers=headers)
            if answer.status_code != 202 or answer.json()["rejected"]:
                raise CannotStart(f"the service refused events: {answer.text[:500]}")
            done += len(batch)
            work.show(done, done)
        say(f"{len(events):,} events posted and evaluated in {work.seconds:.1f} s", "bold")


async def _tell(client: httpx2.AsyncClient, services: Services, position: str) -> None:
    segments = (await client.get("/v1/segments", params={"limit": 1000})).json()["segments"]
    table = Table(box=None, pad_edge=False)
    table.add_column("segment")
    table.add_column("members", justify="right")
    table.add_column("in words")
    for each in segments:
        table.add_row(each["id"], f"{each['size']:,}", each["words"]["sentence"])
    out.print(table)
    changes = await _changes(services, position)
    say(f"\n{len(changes):,} people entered or left; the last of them:", "bold")
    for change in changes[-TOLD:]:
        out.print(styled(change) if out.is_terminal else line_of(change), markup=False)
    if changes:
        await _explain(client, changes[-1])


async def _changes(services: Services, position: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while (page := await services.feed.read(position)).items:
        found += [orjson.loads(item.data) for item in page.items]
        position = page.position
    return found


async def _explain(client: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    customer = change["data"]["customer_id"]
    answer = (await client.get(f"/v1/customers/{customer}/segments")).json()
    say(f"\ncustomer {customer} is in:", "bold")
    for each in answer["segments"]:
        leaves = f", leaves {each['leaves_at']} if nothing happens" if each.get("leaves_at") else ""
        say(f"  {each['segment']} since {each['since']}{leaves}")
    why = orjson.dumps(change["data"]["why"]).decode()
    say(f"and {change['data']['segment']} {change['type'].removeprefix('segment.')} because {why}")
