"""How a benchmark is run and what it says: ours and the reference in turn, so that a busy machine slows both."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

ROUNDS_MIN = 5


class Result(Struct, frozen=True, kw_only=True):
    """One measured figure. `ratio` is ours to the reference; the bar is on it, or on `ours` where there is no reference."""

    name: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    bar: float | None = None
    unit: str = ""
    higher_is_better: bool = True
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None:
            return None
        measured = self.ours if self.ratio is None else self.ratio
        return measured >= self.bar if self.higher_is_better else measured <= self.bar


def in_turn(ours: Callable[[], float], reference: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the medians of what both say, asked in turn; the first round only warms up."""
    figures = [(ours(), reference()) for _ in range(max(rounds, ROUNDS_MIN) + 1)][1:]
    return statistics.median(mine for mine, _ in figures), statistics.median(other for _, other in figures)


def median(ours: Callable[[], float], rounds: int) -> float:
    """Return the median of a figure without reference."""
    return statistics.median([ours() for _ in range(max(rounds, ROUNDS_MIN))])


def seconds(call: Callable[[], object], *, repeat: int = 1) -> float:
    """Return how long a call takes on the wall clock, the average of `repeat`."""
    started = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - started) / repeat


def p99(figures: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(figures, n=100)[98]


def cpu_s(pid: int) -> float:
    """Return the CPU time a process has used, user and system, of all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
