"""Calls underway by their ids, for libraries that tell of a call's start and of its end at two places."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

from controlzero.integrations.governor import Underway
from controlzero.integrations.prices import Spent
from controlzero.integrations.usage import NOTHING_SAID

RUNS_MAX = 10_000  # at once; the oldest are then taken for left, as a library may never tell of an end


class Runs:
    """The calls that one handler has let through and not seen end; from any thread."""

    def __init__(self) -> None:
        self._underway: OrderedDict[Hashable, Underway] = OrderedDict()
        self._lock = threading.Lock()

    def began(self, run: Hashable, underway: Underway) -> None:
        """Keep a call until it ends."""
        with self._lock:
            self._underway[run] = underway
            oldest = self._underway.popitem(last=False)[1] if len(self._underway) > RUNS_MAX else None
        if oldest is not None:
            oldest.leave()

    def ended(self, run: Hashable, error: BaseException | None = None, spent: Spent = NOTHING_SAID) -> None:
        """Record the outcome of a call, if it is one that was kept."""
        with self._lock:
            underway = self._underway.pop(run, None)
        if underway is not None:
            underway.end(error, spent)
