"""The reading side of a spool: what is still to be delivered, batch by batch, and the deletion of what is."""

import os
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from controlzero.errors import Tampered
from controlzero.ids import id_time
from controlzero.recorder import folders
from controlzero.recorder.entries import split
from controlzero.recorder.folders import Claim
from controlzero.recorder.position import Position, PositionFile
from controlzero.recorder.spool import Spool

BATCH_BYTES_MAX = 1024 * 1024  # before compression: a message stays well below a broker's limit, and the gateway takes more
BATCH_RECORDS_MAX = 2_000  # of ordinary records all that is read at a time: what is left over would be read and split again


class Batch(Struct, frozen=True):
    """A contiguous range of one producer's records, on its way. `first_seq + len(lines)` is its running total."""

    producer_id: str
    first_seq: int
    lines: Sequence[bytes]
    end: Position
    closes: bool  # the producer ended in order and nothing follows
    is_all: bool  # nothing more was there when it was read


class Backlog(Protocol):
    """What one producer still has to deliver."""

    producer_id: str

    def next_batch(self, *, records_max: int = BATCH_RECORDS_MAX, bytes_max: int = BATCH_BYTES_MAX) -> Batch | None:
        """Return the next undelivered records, None where there are none now. Repeated, it returns the same ones."""
        ...

    def acknowledge(self, batch: Batch) -> None:
        """Take note that a batch is durable at the gateway."""
        ...

    def discard(self) -> None:
        """Delete what is left of a producer that has nothing more to deliver."""
        ...

    def release(self) -> None:
        """Let go of it, so that another process may deliver the rest."""
        ...


class SpoolBacklog:
    """The backlog of a spool on disk, of this process (`spool`) or of a dead one whose folder is claimed."""

    def __init__(self, claim: Claim, *, spool: Spool | None = None) -> None:
        self.claim = claim
        self.producer_id = claim.producer_id
        self._spool = spool
        self._file = PositionFile(claim.folder)
        self._position = self._file.position
        self._is_closed = False

    def next_batch(self, *, records_max: int = BATCH_RECORDS_MAX, bytes_max: int = BATCH_BYTES_MAX) -> Batch | None:
        """Return the next undelivered records; batches end where segments do."""
        while not self._is_closed:
            at = self._position
            ended = self._has_ended  # asked before reading, as nothing follows it
            is_final = self._spool is None or self._spool.is_final(at.segment)
            stretch, is_whole = self._read(at, bytes_max)
            found = split(stretch, is_final=is_final and is_whole, started_at=id_time(self.producer_id))
            count = _fitting(found.ends, records_max, bytes_max)
            is_all = is_whole and count == len(found.lines)
            is_last = is_all and is_final and not self._has_next(at.segment)
            if count or (is_last and ended):
                end = Position(at.seq + count, at.segment, at.offset + (found.ends[count - 1] if count else 0))
                is_all = is_all and (is_last or not is_final)
                return Batch(self.producer_id, at.seq, found.lines[:count], end, closes=is_last and ended, is_all=is_all)
            if is_last or not (is_final or self._makes_room()):
                return None
            if is_final:
                self._leave(at)
        return None

    def acknowledge(self, batch: Batch) -> None:
        """Write down how far the spool is delivered."""
        self._file.advance(batch.end)
        self._position = batch.end
        self._is_closed = batch.closes

    def discard(self) -> None:
        """Delete the folder of a producer that has nothing more to deliver."""
        self._file.close()
        folders.remove(self.claim)

    def release(self) -> None:
        """Let go of the folder, so that another process may deliver the rest."""
        self._file.close()
        folders.release(self.claim)

    @property
    def _has_ended(self) -> bool:
        return (self._spool is None or self._spool.has_ended) and folders.has_ended(self.claim.folder)

    def _read(self, at: Position, bytes_max: int) -> tuple[bytes, bool]:
        """Return the segment's bytes from `at`, one whole entry at least, and whether they reach its end."""
        try:
            fd = os.open(folders.segment_path(self.claim.folder, at.segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            if self._spool is None:
                return b"", True
            raise Tampered(
                f"spool `{self.claim.folder}`: segment {at.segment} is gone while its process lives; expected nobody to delete a "
                "spool in use. What it held is lost; recording goes on as a new producer"
            ) from error
        try:
            size = bytes_max
            while True:
                stretch = os.pread(fd, size, at.offset)
                reaches_end = len(stretch) < size
                if reaches_end or stretch.count(b"\x1e") > 1:
                    return stretch, reaches_end
                size *= 2
        finally:
            os.close(fd)

    def _makes_room(self) -> bool:
        """Have a live spool that lost records go on in a new segment: deleting this one, delivered, makes room on a full disk."""
        return self._spool is not None and self._spool.has_losses and self._spool.turn()

    def _has_next(self, segment: int) -> bool:
        return any(folders.segment_index(path) > segment for path in folders.segments(self.claim.folder))

    def _leave(self, at: Position) -> None:
        """Go on to the next segment and delete the delivered one; durably in this order, or numbers would start anew."""
        following = (folders.segment_index(path) for path in folders.segments(self.claim.folder))
        self._position = Position(at.seq, min(index for index in following if index > at.segment), 0)
        self._file.advance(self._position, is_durable=True)
        delivered = folders.segment_path(self.claim.folder, at.segment)
        if self._spool is not None:
            self._spool.remove(delivered)
        else:
            delivered.unlink(missing_ok=True)


def _fitting(ends: Sequence[int], records_max: int, bytes_max: int) -> int:
    """Return how many entries go into one batch: at least one, whatever its size."""
    count = min(len(ends), records_max)
    while count > 1 and ends[count - 1] > bytes_max:
        count -= 1
    return count
