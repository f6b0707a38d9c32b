"""A request's body read within its bounds: of size, of time, and of what all requests hold together."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive

from ingest.limits import BODY_BYTES_MAX, BODY_READ_S_MAX, IN_FLIGHT_BYTES_MAX
from ingest.metrics import Counts
from ingest.problems import Refusal

LOOK_EVERY_S = 1.0  # one look at all readers instead of a timer each: a timer costs as much as parsing a record


class Disconnected(Exception):  # noqa: N818 - the client left; there is nobody to answer
    """The client went away before its body was whole."""


class BodyReader:
    """Reads bodies, and gives up on those that do not end. `monotonic` tells seconds."""

    def __init__(self, counts: Counts, *, monotonic: Callable[[], float], read_s_max: float = BODY_READ_S_MAX) -> None:
        self._counts = counts
        self._monotonic = monotonic
        self._read_s_max = read_s_max
        self._reading: dict[asyncio.Task[object], float] = {}  # since when
        self._given_up: set[asyncio.Task[object]] = set()

    async def read(self, receive: Receive) -> bytes:
        """Return the whole body; its bytes are held until `release`. Raises `Refusal` (408, 413, 429), `Disconnected`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._reading[task] = self._monotonic()
        pieces: list[bytes] = []
        size = 0
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                piece, more = message.get("body", b""), message.get("more_body", False)
                pieces.append(piece)
                size += len(piece)
                self._counts.bytes_in_flight += len(piece)
                self._check(size)
        except BaseException as error:
            self._counts.bytes_in_flight -= size
            if isinstance(error, asyncio.CancelledError) and task in self._given_up:
                task.uncancel()
                raise Refusal("body-too-slow", f"{size:,} bytes came in {self._read_s_max:g} s, not the last one.") from error
            raise
        finally:
            del self._reading[task]
            self._given_up.discard(task)
        self._counts.bytes_received += size
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check(self, size: int) -> None:
        if size > BODY_BYTES_MAX:
            raise Refusal("body-too-large", f"The body is longer than {BODY_BYTES_MAX:,} bytes.")
        if self._counts.bytes_in_flight > IN_FLIGHT_BYTES_MAX:
            raise Refusal("too-much-in-flight", "The bodies of all requests together are at their bound.", retry_after_s=1)

    def hold(self, size: int) -> None:
        """Hold so many bytes more, of lines expanded. Raises `Refusal` (429) where all requests together hold too many."""
        self._counts.bytes_in_flight += size
        try:
            self._check(0)
        except Refusal:
            self._counts.bytes_in_flight -= size
            raise

    def release(self, size: int) -> None:
        """Say that so many bytes are held no more."""
        self._counts.bytes_in_flight -= size

    async def watch(self) -> None:
        """Give up on bodies that take too long, until cancelled."""
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._read_s_max))
            overdue = self._monotonic() - self._read_s_max
            for task, since in self._reading.items():
                if since < overdue and task not in self._given_up:
                    self._given_up.add(task)
                    task.cancel()
