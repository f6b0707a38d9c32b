"""How records lie in a spool: JSON text sequences (RFC 7464), so that a torn entry never hides the next one.

Each entry is RS, the JSON text, LF. JSON text holds neither byte raw, so an RS always starts an entry: what
a short write left behind ends where the next entry begins, and keeps its number.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from controlzero.records import Loss, LossReason, encode_record

RS = b"\x1e"
LF = b"\n"
OCCURRED_AT = re.compile(rb'"occurred_at":(\d{1,18})[,}]')


class Entries(Struct, frozen=True):
    """What a stretch of a segment holds. `ends[i]` is where entry i ends, counted from the stretch's start."""

    lines: Sequence[bytes]  # an entry without its frame; for a torn one its `stand_in`
    ends: Sequence[int]


def entry_of(line: bytes) -> bytes:
    """Frame a record's JSON text for the spool."""
    return b"\x1e%b\n" % line


def split(stretch: bytes, *, is_final: bool, started_at: int) -> Entries:
    """Split a stretch of a segment into its entries.

    Where more may still be written (`is_final` False), an unfinished last entry is left for later. A torn
    entry becomes a loss record, the same one each time it is read, dated by what is left of it or else by
    the producer's start.
    """
    parts = stretch.split(RS)
    at = len(parts[0])  # bytes before the first RS belong to no entry
    lines: list[bytes] = []
    ends: list[int] = []
    last = len(parts) - 1
    for place, part in enumerate(parts[1:], start=1):
        is_whole = part.endswith(LF) and part.find(LF) == len(part) - 1 and len(part) > 1
        if not is_whole and place == last and not is_final and not part.endswith(LF):
            break
        at += 1 + len(part)
        lines.append(part[:-1] if is_whole else stand_in(part, reason="torn", started_at=started_at))
        ends.append(at)
    return Entries(lines, ends)


def stand_in(fragment: bytes, *, reason: LossReason, started_at: int) -> bytes:
    """Return the loss record that takes the place, and so the number, of one that cannot be delivered."""
    found = OCCURRED_AT.search(fragment)
    occurred_at = int(found[1]) if found else started_at
    return encode_record(Loss(occurred_at=occurred_at, since_at=min(started_at, occurred_at), count=1, reason=reason))
