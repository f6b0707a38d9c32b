"""What the steps may ask of the ledger: which numbers of a producer have landed, and as what."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from processors.ranges import Range, Ranges


class Producer(NamedTuple):
    """A producer of a project."""

    project_id: str
    producer_id: str


class Seen(NamedTuple):
    """A message as its tally remembers it: the same range and digest again is a duplicate."""

    first_seq: int
    lines: int
    ids_digest: str


class Coverage(Struct, frozen=True, kw_only=True):
    """Which numbers of one producer are accounted for (landed, or in quarantine), as its tallies say.

    `expected` is the number that comes next: past what has come, past what a gap was found for, and past what
    the producer said there is when it closed. `last_at` is the latest time of the message (the first one) that brought
    the highest number: when its records were made, else when it was received.
    """

    ranges: Ranges = ()
    floor: int = 0  # numbers below it are asked of the ledger: see `sequence.Memory`
    expected: int = 0
    last_at: int | None = None
    recent: tuple[Seen, ...] = ()


class Landed(Protocol):
    """The ledger, asked for many things at once. What it does not know is absent from an answer."""

    def coverage(self, producers: Sequence[Producer]) -> Mapping[Producer, Coverage]:
        """Return what is accounted for of each producer that has ever landed anything."""
        ...

    def covered(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Ranges]:
        """Return the numbers accounted for within each asked range."""
        ...

    def seen(self, asked: Sequence[tuple[Producer, Seen]]) -> frozenset[tuple[Producer, Seen]]:
        """Return those of the asked messages that have a tally."""
        ...

    def identities(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Mapping[int, str]]:
        """Return what landed under each number of the asked ranges, as `sequence.identity` names it."""
        ...
