"""What gets killed: an embedded server and an evaluator on a directory. `python kill_child.py DIRECTORY PARTITIONS`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.log.redis_streams import RedisLog
from consumers.state.store import Store


async def main(url: str, partitions: int) -> None:
    store = Store.connect(url)
    log = RedisLog(store, partitions)
    await log.prepare()
    evaluator = Evaluator(store, log)
    print(url, flush=True)
    await evaluator.run()


if __name__ == "__main__":
    with Embedded(Path(sys.argv[1])) as server:
        asyncio.run(main(server.url, int(sys.argv[2])))
