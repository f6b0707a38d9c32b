"""Between Faust and the work: messages as they come, landed a portion at a time, from where the ledger says each partition goes on."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, Protocol, TypeVar

import structlog
from msgspec import Struct

from controlzero.errors import ControlZeroError, Unavailable
from processors.heartbeat import Heartbeat, Phase
from processors.holes import prove
from processors.pacing import BACK_OFF_S
from processors.taking import PORTION, Meter, Portion
from processors.work import Work, settle
from topics.log import Log, Message

HELD_BYTES_MAX = 64 * 2**20  # of messages, as they came: Faust stops fetching while its own small buffer is full too

T = TypeVar("T")
_logger = structlog.get_logger("processors")


class Event(Protocol):
    """What Faust gives an agent for each message."""

    message: Any

    def ack(self) -> bool:
        """Let the group's offset move on: for those who look at its lag. Nothing rests on it."""
        ...


class Held(Struct, frozen=True):
    """A message that waits to be landed."""

    message: Message
    event: Event


class Intake:
    """Takes what an agent is given, and lands it. A partition's messages come in order, from where `begin` put it.

    Everything but the landing itself happens on the event loop; `begin` and a landing never overlap.
    """

    def __init__(self, open_: Callable[[], tuple[Log, Work]], *, tick_s: float, portion: Portion = PORTION) -> None:
        self._open, self._tick_s, self._portion = open_, tick_s, portion
        self._opened: tuple[Log, Work] | None = None
        self._opening = Lock()
        self._turn = asyncio.Lock()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._next: dict[int, int] = {}
        self.phase: Phase = "starting"
        self.error: str | None = None

    def prepare(self) -> None:
        """Open log and ledger ahead of the first partitions, in a thread of its own: it takes as long as joining a group."""
        Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        settle()
        with suppress(ControlZeroError):  # met again, and told, when partitions are there
            self._parts()

    async def begin(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Take these partitions and no others; return the offset each is to be read from. Waits for log and ledger."""
        asked = sorted(partitions)
        async with self._turn:
            self._held.clear()
            self._held_bytes, self._next = 0, {}
            offsets: Mapping[int, int] = await self._patiently(lambda: self._parts()[1].begin(asked))
            self._next = dict(offsets)
            self._room.set()
        _logger.info("The worker has its partitions.", goes_on_from={str(partition): offset for partition, offset in offsets.items()})
        return offsets

    async def take(self, event: Event) -> None:
        """Hold a message until it is landed; return when there is room for another."""
        message = message_of(event.message)
        expected = self._next.get(message.partition)
        if expected is None or message.offset < expected:  # of a partition given away, or read again: it has landed, or will
            event.ack()
            return
        self._next[message.partition] = message.offset + 1
        self._held.append(Held(message, event))
        self._held_bytes += len(message.value or b"")
        self._arrived.set()
        if self._held_bytes > HELD_BYTES_MAX:
            self._room.clear()
            await self._room.wait()

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Land what comes, at once after a pause and by the tick while more keeps coming. Raises what a person must look at."""
        self.phase = "running"
        while not is_over():
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout=1.0)
            except TimeoutError:
                continue
            began = time.monotonic()
            await self.land()
            await asyncio.sleep(0 if self._held else max(0.0, began + self._tick_s - time.monotonic()))

    async def land(self) -> None:
        """Land a portion of what is held."""
        async with self._turn:
            portion = self._next_portion()
            if portion:
                await self._patiently(lambda: self._land([held.message for held in portion]))
                for held in portion:
                    self._held.popleft()
                    self._held_bytes -= len(held.message.value or b"")
                    held.event.ack()
            if not self._held:
                self._arrived.clear()
            if self._held_bytes <= HELD_BYTES_MAX:
                self._room.set()

    async def drain(self) -> None:
        """Land all that is held."""
        self.phase = "draining"
        while self._held:
            await self.land()

    def end(self) -> Heartbeat | None:
        """Let go of log and ledger; return the last heartbeat, None where there was none."""
        self.phase = "stopped"
        last, self._opened = self.look(), None
        return last

    def look(self) -> Heartbeat | None:
        """Return the heartbeat of this moment, None before the log was opened."""
        return None if self._opened is None else self._opened[1].look(self.phase, self.error)

    def _next_portion(self) -> list[Held]:
        meter = Meter(self._portion)
        return [held for held in self._held if not meter.is_full and meter.admits(held.message)]

    def _land(self, messages: Sequence[Message]) -> None:
        log, work = self._parts()
        work.land(messages, proven_empty=prove(log, messages, work.offsets))

    def _parts(self) -> tuple[Log, Work]:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    async def _patiently(self, call: Callable[[], T]) -> T:
        """Call in a thread until log and ledger take part: meanwhile nothing more is taken, and nothing held is lost."""
        failures = 0
        while True:
            try:
                result = await asyncio.to_thread(call)
            except Unavailable as error:
                failures += 1
                if failures == 1:
                    _logger.warning("Waiting: what was accepted stays in the log and lands later.", why=str(error))
                self.phase, self.error = "waiting", str(error)
                await asyncio.sleep(error.retry_after_s or BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])
                continue
            if failures:
                _logger.info("Going on.", waited_times=failures)
            self.phase, self.error = "running", None
            return result


def message_of(message: Any) -> Message:
    """Return Faust's message as the pipeline knows messages."""
    headers = message.headers or {}
    named = headers.items() if isinstance(headers, Mapping) else headers
    return Message(
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value,
        headers={name: "" if value is None else value.decode(errors="replace") for name, value in named},
    )
