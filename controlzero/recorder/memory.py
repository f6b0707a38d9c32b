"""A spool in memory, where no folder can be written: it delivers, and it dies with its process."""

from collections import deque
from collections.abc import Callable

from controlzero.ids import id_time
from controlzero.recorder.backlog import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch
from controlzero.recorder.position import Position
from controlzero.recorder.spool import EndedError
from controlzero.records import Loss, LossReason, encode_record

MEMORY_BYTES_MAX = 16 * 1024 * 1024  # of the host's memory: some 20,000 records


class MemorySpool:
    """Both sides of a producer's spool; a record's number is its place in the queue."""

    def __init__(self, producer_id: str, *, clock: Callable[[], int], bytes_max: int = MEMORY_BYTES_MAX) -> None:
        self.producer_id = producer_id
        self.started_at = id_time(producer_id)
        self.has_ended = False
        self._clock = clock
        self._bytes_max = bytes_max
        self._entries: deque[bytes] = deque()
        self._bytes = 0  # about: writers add to it without a lock
        self._delivered = 0
        self._lost = 0
        self._is_closed = False

    def append(self, entry: bytes) -> bool:
        """Append one framed record; return whether it is kept. Raises `EndedError` after `end`."""
        if self.has_ended:
            raise EndedError
        if self._bytes >= self._bytes_max:
            self._lost += 1
            return False
        self._entries.append(entry[1:-1])
        self._bytes += len(entry)
        return True

    def lose(self, reason: LossReason) -> None:  # noqa: ARG002 - a full memory is the one reason it reports
        """Count a record that could not be kept."""
        self._lost += 1

    @property
    def has_losses(self) -> bool:
        """Whether records were lost that are not reported yet."""
        return self._lost > 0

    def end(self) -> None:
        """End in order: nothing is appended after it."""
        self._report_losses()
        self.has_ended = True

    def abandon(self) -> None:
        """Forget the parent's records in a forked child."""
        self._entries.clear()

    def next_batch(self, *, records_max: int = BATCH_RECORDS_MAX, bytes_max: int = BATCH_BYTES_MAX) -> Batch | None:
        """Return the next undelivered records, None where there are none now."""
        ended = self.has_ended and not self._is_closed
        waiting = len(self._entries)
        lines: list[bytes] = []
        for place in range(min(waiting, records_max)):
            bytes_max -= len(self._entries[place])
            if lines and bytes_max < 0:
                break
            lines.append(self._entries[place])
        is_all = len(lines) == waiting
        if not lines and not ended:
            return None
        end = Position(self._delivered + len(lines))
        return Batch(self.producer_id, self._delivered, lines, end, closes=ended and is_all, is_all=is_all)

    def acknowledge(self, batch: Batch) -> None:
        """Drop what is delivered and report, now that there is room, what was lost."""
        for _ in batch.lines:
            self._bytes -= len(self._entries.popleft()) + 2
        self._delivered = batch.end.seq
        self._is_closed = batch.closes
        if not batch.closes:
            self._report_losses()

    def discard(self) -> None:
        """Nothing is left to delete."""

    def release(self) -> None:
        """Nobody else can deliver it: what is left is lost with the process."""

    def _report_losses(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            now = self._clock()
            self._entries.append(encode_record(Loss(occurred_at=now, since_at=self.started_at, count=lost, reason="disk_full")))
