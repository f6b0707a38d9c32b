"""The writing side of one producer's spool: any thread appends, nobody waits, nothing is torn between two files.

A writer announces itself in the segment's `writers`, looks again whether the segment is still the current
one, writes, and leaves. Whoever finds a segment replaced and without writers knows that no byte will be
added to it: a writer that comes later sees that it is no longer current and turns away.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from controlzero.ids import id_time
from controlzero.recorder import folders
from controlzero.recorder.entries import entry_of
from controlzero.recorder.folders import Claim
from controlzero.records import Loss, LossReason, encode_record

SEGMENT_BYTES_MAX = 4 * 1024 * 1024  # what a delivery frees at a time; 5,000 records or so
SPOOL_BYTES_MAX = 256 * 1024 * 1024  # of one destination: some 300,000 records, an hour of a busy agent without its server
MEASURE_S_MIN = 1.0  # how often a full spool looks whether others made room
DRAIN_S_MAX = 1.0  # how long an orderly end waits for writers on their way; one write takes microseconds


class EndedError(Exception):
    """The spool has ended: the next record begins another producer."""


class Segment:
    """One file of a spool, open for appending."""

    __slots__ = ("fd", "index", "size", "writers")

    def __init__(self, claim: Claim, index: int) -> None:
        self.index = index
        self.size = 0  # about: writers add to it without a lock
        self.writers: deque[None] = deque()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.fd = os.open(folders.segment_path(claim.folder, index), flags, folders.OWNER_ONLY_FILE)


class Spool:
    """The spool of this process's producer. `append` is for any thread; the rest is the recorder's."""

    def __init__(
        self,
        claim: Claim,
        *,
        clock: Callable[[], int],
        bytes_max: int = SPOOL_BYTES_MAX,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self.claim = claim
        self.started_at = id_time(claim.producer_id)
        self.has_losses = False
        self.has_ended = False  # nothing more is appended, and what is there is whole
        self._clock = clock
        self._bytes_max = bytes_max
        self._segment_bytes_max = min(segment_bytes_max, bytes_max // 4)  # so that delivery always frees something
        self._room = self._measured_room()  # what the current segment may grow to
        self._measured_at = time.monotonic()
        self._retired: list[Segment] = []
        self._turning = threading.Lock()
        self._losses: dict[LossReason, tuple[int, int]] = {}
        self._losing = threading.RLock()  # a signal handler may record while its thread is in here
        self._segment: Segment | None = Segment(claim, 0)

    @property
    def producer_id(self) -> str:
        """The producer whose records these are."""
        return self.claim.producer_id

    def append(self, entry: bytes) -> bool:
        """Append one framed record; return whether it is kept. Raises `EndedError` after `end`."""
        lost = self._write(entry)
        if lost is None:
            if self.has_losses:
                self.report_losses()
            return True
        if lost != "torn":  # its delivery says so
            self.lose(lost)
        return False

    def lose(self, reason: LossReason, count: int = 1, since_at: int | None = None) -> None:
        """Count records that could not be kept; they are reported when there is room again."""
        with self._losing:
            before, before_at = self._losses.get(reason) or (0, since_at or self._clock())
            self._losses[reason] = (before + count, min(before_at, since_at or before_at))
            self.has_losses = True

    def report_losses(self) -> None:
        """Record what was lost, now that there may be room again; keep counting where there is none."""
        with self._losing:
            losses, self._losses, self.has_losses = self._losses, {}, False
            for reason, (count, since_at) in losses.items():
                loss = Loss(occurred_at=self._clock(), since_at=since_at, count=count, reason=reason)
                if not self._kept(loss):
                    self.lose(reason, count, since_at)

    def is_final(self, index: int) -> bool:
        """Say whether no byte will be added to segment `index`."""
        with self._turning:
            self._close_drained()
            current = self._segment
            return (current is None or index < current.index) and all(segment.index != index for segment in self._retired)

    def remove(self, segment: Path) -> None:
        """Delete a delivered segment: its room is free again."""
        with self._turning:
            size = segment.stat().st_size
            segment.unlink()
            self._room += size
        if self.has_losses:
            self.report_losses()

    def turn(self) -> bool:
        """Go on in a new segment, so that the current one can be deleted once it is delivered; say whether that was possible."""
        segment = self._segment
        if segment is None or not segment.size:
            return False
        self._turn(segment)
        return segment is not self._segment

    def end(self) -> None:
        """End the spool in order: nothing is appended after it, and the marker says so.

        Without the marker where records are still unaccounted for: an end that cannot prove itself is none.
        """
        if self.has_losses:
            self.report_losses()
        with self._turning:
            last, self._segment = self._segment, None
            if last is None:
                return
            self._retired.append(last)
        is_drained = self._drained()
        try:
            if is_drained and not self.has_losses:
                marker = self.claim.folder / folders.END_FILE
                os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, folders.OWNER_ONLY_FILE))
        finally:
            self.has_ended = is_drained

    def abandon(self) -> None:
        """Close the files without a word: a forked child lets go of its parent's spool (the lock stays the parent's)."""
        segments = [*self._retired, self._segment]
        self._segment, self._retired = None, []
        for fd in (self.claim.lock, *(segment.fd for segment in segments if segment is not None)):
            os.close(fd)

    def _kept(self, loss: Loss) -> bool:
        try:
            return self._write(entry_of(encode_record(loss))) is None
        except EndedError:
            return False

    def _write(self, entry: bytes) -> LossReason | None:
        """Write one framed record whole, or say why not. No lock is taken and nobody is waited for."""
        while True:
            segment = self._segment
            if segment is None:
                raise EndedError
            segment.writers.append(None)
            if segment is self._segment:
                break
            segment.writers.pop()
        try:
            if segment.size >= self._room and not self._has_room(segment):
                return "spool_full"
            written = os.write(segment.fd, entry)
        except OSError:
            return "disk_full"
        finally:
            segment.writers.pop()
        segment.size += written
        if segment.size >= self._segment_bytes_max:
            self._turn(segment)
        return None if written == len(entry) else "torn"

    def _turn(self, full: Segment) -> None:
        """Put a new segment in the place of `full`; one thread does it and the others go on writing to the old one."""
        if not self._turning.acquire(blocking=False):
            return
        try:
            if full is self._segment:
                room = self._measured_room()
                self._segment = Segment(self.claim, full.index + 1)
                self._room = room
                self._retired.append(full)
            self._close_drained()
        except OSError:
            return  # the old segment still takes what fits; the next record tries again
        finally:
            self._turning.release()

    def _has_room(self, segment: Segment) -> bool:
        """Look again, at most every `MEASURE_S_MIN`, whether other processes have made room."""
        now = time.monotonic()
        if now - self._measured_at < MEASURE_S_MIN or not self._turning.acquire(blocking=False):
            return False
        try:
            self._measured_at = now
            self._room = self._measured_room() + segment.size
            return segment is self._segment and segment.size < self._room
        finally:
            self._turning.release()

    def _measured_room(self) -> int:
        return self._bytes_max - folders.bytes_taken(self.claim.folder.parent)

    def _close_drained(self) -> None:
        drained = [segment for segment in self._retired if not segment.writers]
        self._retired = [segment for segment in self._retired if segment not in drained]
        for segment in drained:
            os.close(segment.fd)

    def _drained(self) -> bool:
        deadline = time.monotonic() + DRAIN_S_MAX
        while time.monotonic() < deadline:
            with self._turning:
                self._close_drained()
                if not self._retired:
                    return True
            time.sleep(0.001)
        return False
