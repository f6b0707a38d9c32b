"""The sender: a background thread that brings spooled records to where they are kept, its own process's and dead ones'."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from msgspec import Struct, structs

from controlzero.errors import Tampered, Unavailable
from controlzero.ids import id_time
from controlzero.recorder import folders
from controlzero.recorder.backlog import BATCH_RECORDS_MAX, Backlog, Batch, SpoolBacklog
from controlzero.recorder.entries import stand_in
from controlzero.recorder.folders import Destination
from controlzero.recorder.link import BACKOFF_S_MAX, THREAD_PREFIX, Link, Reply, backoff_s, jitter, step_after

FLUSH_INTERVAL_S = 0.05  # records gather this long, so that a busy agent sends batches and a quiet one is seen at once
GLANCE_BYTES = 4096  # read to learn whether there is anything: more than most records
ADOPT_INTERVAL_S = 10.0  # how often to look for spools of dead processes
STOP_S_MAX = 1.0  # how long to wait for the thread itself

log = logging.getLogger("controlzero.recorder")


class OwnBacklog(Struct, frozen=True, eq=False):
    """A producer of this process: what it has to deliver, whether it has ended, and what to do when its spool is gone."""

    backlog: Backlog
    has_ended: Callable[[], bool]
    give_up: Callable[[], None]


class Sender:
    """Delivers the backlogs of one destination, one batch at a time and so at most one in flight per producer.

    `is_asleep` is read by whoever records: only then must `ring` be called. The queue behind it may be used
    from a signal handler, where an Event's lock may not.
    """

    def __init__(
        self,
        link: Link,
        destination: Destination,
        roots: tuple[Path, ...],
        *,
        new_jitter: Callable[[], float] = jitter,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        adopt_interval_s: float = ADOPT_INTERVAL_S,
    ) -> None:
        self.is_asleep = False
        self._link = link
        self._destination = destination
        self._homes = [(root, found) for root in roots for found in (destination, Destination(destination.project_id))]
        self._new_jitter = new_jitter
        self._flush_interval_s = flush_interval_s
        self._adopt_interval_s = adopt_interval_s
        self._adopt_at = 0.0
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._own: list[OwnBacklog] = []
        self._flushes: list[tuple[threading.Event, list[bool]]] = []
        self._records_max = BATCH_RECORDS_MAX
        self._failures = 0
        self._retry_at = 0.0
        self._logged: set[str] = set()
        self._is_stopping = False
        self._guard = threading.Lock()  # for `_own` and `_flushes`; never held over I/O
        self._thread = threading.Thread(target=self._run, name=f"{THREAD_PREFIX}sender", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def deliver(self, own: OwnBacklog) -> None:
        """Take on a producer of this process; once it has ended and all is delivered, its spool is deleted."""
        with self._guard:
            self._own.append(own)
        self.ring()

    def ring(self) -> None:
        """Wake the sender: something was recorded."""
        self.is_asleep = False
        self._bell.put(None)

    def flush(self, timeout_s: float) -> bool:
        """Deliver all that was recorded before this call; return False where the gateway or the time did not allow it."""
        done, answer = threading.Event(), [False]
        with self._guard:
            self._flushes.append((done, answer))
        self.ring()
        return done.wait(timeout_s) and answer[0]

    def stop(self) -> None:
        """Stop the thread, which lets go of what is not delivered: another process, or the next one, adopts it."""
        self._is_stopping = True
        self.ring()
        self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        while not self._is_stopping:
            self._wait()
            self._deliver_once()
        for own in self._own:
            own.backlog.release()
        self._link.close()

    def _deliver_once(self) -> None:
        if not self._flushes and time.monotonic() < self._retry_at:
            return
        if self._serve_own() and time.monotonic() >= self._adopt_at:
            self._attempt(self._adopt)

    def _serve_own(self) -> bool:
        """Deliver what this process recorded, and answer those who asked for that before."""
        with self._guard:
            flushes, self._flushes = self._flushes, []
        is_delivered = self._attempt(self._deliver_own)
        for done, answer in flushes:
            answer[0] = is_delivered
            done.set()
        return is_delivered

    def _wait(self) -> None:
        """Sleep until there is something to send, a dead process's spool may be there, or a flush is asked for."""
        if time.monotonic() < self._retry_at:
            self._sleep(self._retry_at - time.monotonic())
            return
        self.is_asleep = True
        try:
            has_more = any(own.backlog.next_batch(records_max=1, bytes_max=GLANCE_BYTES) for own in self._own)
        except Exception:  # noqa: BLE001 - whatever it is, the pass that follows deals with it
            has_more = True
        if not has_more and not self._is_stopping:
            self._sleep(max(0.0, self._adopt_at - time.monotonic()))
        self.is_asleep = False
        self._hush()  # what a record rang for is gathered first; who else rings has said so in a flag
        if not self._flushes and not self._is_stopping:
            self._sleep(self._flush_interval_s)

    def _sleep(self, timeout_s: float) -> None:
        with suppress(Empty):
            self._bell.get(timeout=timeout_s)
            self._hush()

    def _hush(self) -> None:
        with suppress(Empty):
            while True:
                self._bell.get_nowait()

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do a part of the work; where the gateway or the disk is in the way, say so once and set when to try again."""
        try:
            work()
        except Unavailable as error:
            self._failures += 1
            delay_s = backoff_s(self._failures, retry_after_s=error.retry_after_s, jitter=self._new_jitter())
            self._retry_at = time.monotonic() + delay_s
            self._say(logging.WARNING, f"Records wait in the spool: {error}")
            return False
        except OSError as error:
            self._retry_at = time.monotonic() + BACKOFF_S_MAX
            self._say(logging.ERROR, f"The spool cannot be read or moved on; it is kept as it is: {error}")
            return False
        except Exception as error:  # noqa: BLE001 - the thread's edge: ended, it would deliver nothing any more
            self._retry_at = time.monotonic() + BACKOFF_S_MAX
            self._say(logging.ERROR, f"Delivery failed for a reason unforeseen, records wait in the spool: {error!r}", error)
            return False
        return True

    def _deliver_own(self) -> None:
        with self._guard:
            everything = list(self._own)
        for own in everything:
            ended = own.has_ended()  # asked before reading: nothing is recorded after it
            try:
                self._deliver_backlog(own, ended=ended)
            except Tampered as error:
                self._say(logging.ERROR, str(error))
                self._forget(own)
                own.give_up()

    def _deliver_backlog(self, own: OwnBacklog, *, ended: bool) -> None:
        while (batch := own.backlog.next_batch(records_max=self._records_max)) is not None:
            if self._send(own.backlog, batch) and batch.is_all and not ended:
                return
        if ended:
            self._forget(own)
            own.backlog.discard()

    def _forget(self, own: OwnBacklog) -> None:
        with self._guard:
            self._own.remove(own)

    def _adopt(self) -> None:
        self._adopt_at = time.monotonic() + self._adopt_interval_s
        for root, destination in self._homes:
            for claim in folders.abandoned(root, destination):
                try:
                    backlog = SpoolBacklog(claim)
                except (OSError, Tampered) as error:
                    folders.release(claim)
                    self._say(logging.ERROR, f"A spool left behind cannot be read; it is kept as it is: {error}")
                    continue
                self._deliver_adopted(backlog)

    def _deliver_adopted(self, backlog: Backlog) -> None:
        is_done = False
        try:
            while not self._is_stopping and (batch := backlog.next_batch(records_max=self._records_max)) is not None:
                self._send(backlog, batch)
                if not self._serve_own():
                    return
            is_done = not self._is_stopping
        finally:
            if is_done:
                backlog.discard()
            else:
                backlog.release()

    def _send(self, backlog: Backlog, batch: Batch) -> bool:
        """Deliver one batch and acknowledge it, or return False for a smaller one. Raises `Unavailable` for a later try."""
        reply = self._link.deliver(self._destination.project_id, batch)
        if step_after(reply.status) == "split":
            self._records_max = max(1, len(batch.lines) // 2)
            if len(batch.lines) > 1:
                return False
            self._say(logging.ERROR, f"A record of {len(batch.lines[0])} bytes is too large and is reported as lost: {reply.detail}")
            reply = self._link.deliver(self._destination.project_id, _with_stand_in(batch))
        if step_after(reply.status) != "go_on":
            raise _refused(reply)
        self._note_delivered(batch, reply)
        backlog.acknowledge(batch)
        return True

    def _note_delivered(self, batch: Batch, reply: Reply) -> None:
        self._records_max = min(BATCH_RECORDS_MAX, self._records_max * 2)
        if self._failures:
            log.info("Delivery goes on after %d failed tries.", self._failures)
        self._failures, self._retry_at = 0, 0.0
        self._logged.clear()
        if reply.rejected:
            first = reply.rejected[0]
            log.warning(
                "The gateway put %d of %d records into quarantine; the first, number %d: %s at %s: %s",
                len(reply.rejected),
                len(batch.lines),
                batch.first_seq + first.line,
                first.code,
                first.path,
                first.reason,
            )

    def _say(self, level: int, sentence: str, trace_of: Exception | None = None) -> None:
        """Log each sentence once until delivery works again."""
        if sentence not in self._logged:
            self._logged.add(sentence)
            log.log(level, "%s", sentence, exc_info=trace_of)


def _with_stand_in(batch: Batch) -> Batch:
    started_at = id_time(batch.producer_id)
    line = stand_in(batch.lines[0], reason="unencodable", started_at=started_at)
    return structs.replace(batch, lines=[line])


def _refused(reply: Reply) -> Unavailable:
    is_held = step_after(reply.status) in ("hold", "split")
    if reply.status in (401, 403):
        fact, way_out = f"the gateway refused the API key ({reply.status}), nothing is dropped", "expected a key that grants this project"
    elif is_held:
        fact, way_out = f"the gateway does not understand this SDK ({reply.status}), nothing is dropped", "its log says more"
    else:
        fact, way_out = f"the gateway answered {reply.status}", "its log says more"
    sentence = f"{fact}: {reply.detail or way_out}"
    return Unavailable(sentence, retry_after_s=BACKOFF_S_MAX if is_held else reply.retry_after_s)
