"""The recorder of one destination: begins a producer at the first record, delivers, and begins anew after a fork."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from controlzero.recorder import folders
from controlzero.recorder.backlog import SpoolBacklog
from controlzero.recorder.entries import entry_of
from controlzero.recorder.folders import Destination
from controlzero.recorder.link import Link
from controlzero.recorder.memory import MemorySpool
from controlzero.recorder.sender import OwnBacklog, Sender
from controlzero.recorder.spool import SPOOL_BYTES_MAX, EndedError, Spool

EXIT_S_MAX = 2.0  # how long the end of a process waits for its gateway; what is left is adopted by another

log = logging.getLogger("controlzero.recorder")


class Recorder:
    """Records lines for one destination, from any thread. Without a `link` they stay in the spool."""

    def __init__(
        self,
        destination: Destination,
        *,
        root: Path,
        link: Link | None,
        clock: Callable[[], int],
        new_id: Callable[[int], str],
        bytes_max: int = SPOOL_BYTES_MAX,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._destination = destination
        self._root = root
        self._link = link
        self._clock = clock
        self._new_id = new_id
        self._bytes_max = bytes_max
        self._on_begin = on_begin
        self._spool: Spool | MemorySpool | None = None
        self._sender: Sender | None = None
        self._beginning = threading.RLock()

    @property
    def producer_id(self) -> str | None:
        """The producer of this process's run, None before its first record."""
        return self._spool.producer_id if self._spool else None

    def record(self, line: bytes) -> bool:
        """Record one line of JSON text; return whether it is kept. One write to the page cache, nothing is waited for."""
        entry = entry_of(line)
        while True:
            try:
                kept = (self._spool or self._begin()).append(entry)
                break
            except EndedError:
                continue  # closed in between: the next round begins another producer
        if self._sender is not None and self._sender.is_asleep:
            self._sender.ring()
        return kept

    def lose(self) -> None:
        """Count a record that could not be encoded."""
        (self._spool or self._begin()).lose("unencodable")

    def flush(self, timeout_s: float) -> bool:
        """Deliver what was recorded before this call; return False where that was not possible in time."""
        if self._spool is None:
            return True
        return self._sender is not None and self._sender.flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """End the producer in order and deliver what it recorded; return False where some of it waits for adoption."""
        if self._spool is not None and self._spool.has_losses and self._sender is not None:
            self._sender.flush(timeout_s)  # it makes room to report what was lost, which an orderly end has to
        with self._beginning:
            spool, self._spool = self._spool, None
            sender, self._sender = self._sender, None
            _BEGUN.discard(self)
        if spool is None:
            return True
        if isinstance(spool, Spool):
            self._end(spool)
        else:
            spool.end()
        if sender is None:
            if isinstance(spool, Spool):
                folders.release(spool.claim)
            return False
        is_delivered = sender.flush(timeout_s)
        sender.stop()
        return is_delivered

    def abandon(self) -> None:
        """Leave everything to the parent: called in a forked child, which is another producer."""
        spool, self._spool, self._sender = self._spool, None, None
        self._beginning = threading.RLock()
        if self._link is not None:
            self._link.forget()
        if spool is not None:
            spool.abandon()

    def _begin(self) -> Spool | MemorySpool:
        with self._beginning:
            if self._spool is not None:
                return self._spool
            producer_id = self._new_id(self._clock())
            spool = self._begin_spool(producer_id)
            if self._link is not None:
                self._sender = self._sender or self._started_sender(self._link)
            if self._sender is not None:
                self._sender.deliver(self._own(spool))
            self._spool = spool
            _BEGUN.add(self)
            self._on_begin()
            _close_with_the_process()
            return spool

    def _begin_spool(self, producer_id: str) -> Spool | MemorySpool:
        refusals = []
        for root in folders.roots(self._root):
            try:
                claim = folders.begin(root, self._destination, producer_id)
                return Spool(claim, clock=self._clock, bytes_max=self._bytes_max)
            except OSError as error:
                refusals.append(str(error))
        log.error("No folder can hold the spool, so records stay in memory and die with the process: %s.", "; ".join(refusals))
        return MemorySpool(producer_id, clock=self._clock)

    def _started_sender(self, link: Link) -> Sender | None:
        sender = Sender(link, self._destination, folders.roots(self._root))
        try:
            sender.start()
        except RuntimeError:  # the interpreter is shutting down and starts no thread: another process will deliver
            return None
        return sender

    def _own(self, spool: Spool | MemorySpool) -> OwnBacklog:
        if isinstance(spool, MemorySpool):
            return OwnBacklog(spool, lambda: spool.has_ended, lambda: None)
        return OwnBacklog(SpoolBacklog(spool.claim, spool=spool), lambda: spool.has_ended, lambda: self._give_up(spool))

    def _give_up(self, spool: Spool) -> None:
        """Go on with another producer: somebody deleted the spool of this one."""
        with self._beginning:
            if self._spool is spool:
                self._spool = None
        self._end(spool)

    def _end(self, spool: Spool) -> None:
        try:
            spool.end()
        except OSError as error:
            log.warning("The spool's end could not be marked, so its tail stays unproven: %s.", error)


_BEGUN: set[Recorder] = set()  # with a producer that has not ended, whether anybody still holds the recorder or not


def _abandon_all() -> None:
    for recorder in list(_BEGUN):
        recorder.abandon()
    _BEGUN.clear()


def _close_all() -> None:
    for recorder in list(_BEGUN):
        recorder.close()


def _close_with_the_process() -> None:
    """See to the orderly end also where multiprocessing ends a forked child: that skips atexit."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _close_all, exitpriority=10)


os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_close_all)
