"""What the gateway is measured against: bare uvicorn, the same parser, the same log, the same group commit, and nothing else."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import zstandard

from controlzero.records import AGENT_RECORDS
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog

decoder = msgspec.json.Decoder(AGENT_RECORDS)
ANSWER = b'{"accepted":1}'


class Reference:
    """Reads a body, parses it, appends it with all that wait, answers."""

    def __init__(self, log: SqliteLog) -> None:
        self.log = log
        self.waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self.thread = ThreadPoolExecutor(1)
        self.task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pieces = []
        more = True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]
        body = b"".join(pieces)
        is_zstd = (b"content-encoding", b"zstd") in scope["headers"]
        decoder.decode_lines(zstandard.ZstdDecompressor().decompress(body) if is_zstd else body)
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((body, future))
        if self.task is None:
            self.task = asyncio.create_task(self.append_all())
        await future
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    async def append_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            together, self.waiting = self.waiting, []
            messages = [(b"p/producer", body, {}) for body, _ in together]
            await loop.run_in_executor(self.thread, self.log.append, DECISIONS.name, messages)
            for _, future in together:
                future.set_result(None)
        self.task = None


if __name__ == "__main__":
    log = SqliteLog(Path(sys.argv[1]) / "log.db")
    uvicorn.run(
        Reference(log), port=int(sys.argv[2]), log_level="warning", access_log=False, lifespan="off", proxy_headers=False, ws="none"
    )
    log.close()
