"""Take from the log what one commit is to land: as much as there is, within what memory and time allow."""

from collections.abc import Mapping, Sequence

import zstandard
from msgspec import Struct

from controlzero.errors import Tampered
from processors.heartbeat import Lag
from topics.declarations import DECISIONS
from topics.log import Log, Message

READ_BYTES_MAX = 1 << 20  # of one read: some ten batches of 500 decisions


class Portion(Struct, frozen=True, kw_only=True):
    """What one commit takes at most (a single message may be more): bounds on memory, and on how long a commit takes."""

    records_max: int = 20_000
    expanded_bytes_max: int = 48 << 20  # some 2,000 bytes a record
    messages_max: int = 4_000


PORTION = Portion()


class Taken(Struct, frozen=True, kw_only=True):
    """Messages for one commit; `is_all` where the log had no more."""

    messages: Sequence[Message]
    is_all: bool


def take(log: Log, offsets: Mapping[int, int], *, portion: Portion = PORTION, first: int = 0) -> Taken:
    """Return the next messages of each partition from its offset on, in order; `first` is the partition to begin with.

    Raises `Unavailable` where the log does not answer, `Tampered` where it is not what it was.
    """
    meter = Meter(portion)
    partitions = sorted(offsets)
    first %= max(1, len(partitions))
    for partition in partitions[first:] + partitions[:first]:
        _take_of(log, partition, offsets[partition], meter)
        if meter.is_full:
            break
    return Taken(messages=meter.messages, is_all=not meter.is_full)


def lags(log: Log, offsets: Mapping[int, int]) -> dict[int, Lag]:
    """Return how far each partition has landed, and where it ends.

    Raises `Tampered` where the ledger has landed more than the log ever held: going on would skip messages.
    """
    found = {partition: Lag(landed=offset, end=log.bounds(DECISIONS.name, partition).end) for partition, offset in offsets.items()}
    for partition, lag in found.items():
        if lag.messages < 0:
            raise Tampered(
                f"{DECISIONS.name}, partition {partition}: the ledger has landed up to {lag.landed}, the log ends at {lag.end}; the log was "
                "replaced by an older one. Put the right one back: to go on with this one would skip messages"
            )
    return found


class Meter:
    """Counts what has been taken for one commit, and says when that is enough."""

    def __init__(self, portion: Portion) -> None:
        self.messages: list[Message] = []
        self.is_full = False
        self._portion = portion
        self._records = 0
        self._bytes = 0

    def admits(self, message: Message) -> bool:
        """Take a message, unless the commit would be too large with it: the first is always taken."""
        records, size = records_of(message), _expanded_bytes(message)
        fits = (
            self._records + records <= self._portion.records_max
            and self._bytes + size <= self._portion.expanded_bytes_max
            and len(self.messages) < self._portion.messages_max
        )
        if self.messages and not fits:
            self.is_full = True
            return False
        self._records += records
        self._bytes += size
        self.messages.append(message)
        return True


def _take_of(log: Log, partition: int, offset: int, meter: Meter) -> None:
    while messages := log.read(DECISIONS.name, partition, offset, bytes_max=READ_BYTES_MAX):
        for message in messages:
            if not meter.admits(message):
                return
        offset = messages[-1].offset + 1


def records_of(message: Message) -> int:
    """Return how many records a message says it holds; one that does not say counts as one."""
    count = message.headers.get("count", "")
    return int(count) if count.isascii() and count.isdigit() else 1


def _expanded_bytes(message: Message) -> int:
    """Return the size a message says it expands to; the step that expands it has its own bound."""
    try:
        size = zstandard.frame_content_size(message.value or b"")
    except zstandard.ZstdError:
        size = 0
    return max(size, len(message.value or b""))
