"""How a process is told to end: what SIGTERM and SIGINT ask for, and what its loops wait on."""

import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType


class Ending:
    """Whether to end. `ask` is for signal handlers and for any thread.

    A `threading.Event` would not do: the thread that a signal interrupts may be the one that holds the event's
    lock, and its handler would then wait for that lock for ever. A `SimpleQueue` can be put to from a handler.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def ask(self, _number: int | None = None, _frame: FrameType | None = None) -> None:
        """Ask for the end: whoever waits goes on."""
        self.is_asked = True
        self._bell.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the end is asked for, at most `timeout_s`; say whether it was."""
        with suppress(Empty):
            self._bell.get(timeout=timeout_s)
            self._bell.put(None)  # for whoever else waits, and for the next time
        return self.is_asked


def asked_by_signals() -> Ending:
    """Return the ending that SIGTERM and SIGINT of this process ask for. For the main thread."""
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ending.ask)
    return ending
