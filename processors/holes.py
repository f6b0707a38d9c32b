"""Offsets without a message for us, such as the markers of a foreign producer's transactions: proven empty by a direct read."""

from collections.abc import Mapping, Sequence

from controlzero.errors import ControlZeroError
from processors.pipeline import Hole
from topics.declarations import DECISIONS
from topics.log import Log, Message


class Skipped(ControlZeroError):  # noqa: N818 - named for what the caller does next
    """The log holds messages that were not brought: go back, and read them."""


def prove(log: Log, messages: Sequence[Message], offsets: Mapping[int, int]) -> frozenset[Hole]:
    """Return the holes in messages, going on from `offsets`, that hold nothing.

    What lies below the log's start cannot be proven: it was there, and retention took it before it landed. Raises `Skipped`
    where the log does hold messages of a hole, `Unavailable` where it does not answer.
    """
    expected = dict(offsets)
    empty: set[Hole] = set()
    for message in messages:
        partition, first = message.partition, expected.get(message.partition, message.offset)
        if message.offset > first and first >= log.bounds(DECISIONS.name, partition).start:
            found = log.read(DECISIONS.name, partition, first, bytes_max=1)
            if found and found[0].offset < message.offset:
                raise Skipped(
                    f"partition {partition}: message {found[0].offset} is in the log and was not read; nothing after it lands before it"
                )
            empty.add(Hole(partition=partition, first=first, after=message.offset, is_empty=True))
        expected[partition] = message.offset + 1
    return frozenset(empty)
