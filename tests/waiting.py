"""How tests wait for what another thread or process brings about: they look again until it is so, and fail where it takes too long."""

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

WITHIN_S = 60.0  # no promise: what takes longer does not come, however loaded the machine is
PAUSE_S = 0.01


def until(look: Callable[[], T | None], what: str | Callable[[], object] = "it", *, within_s: float = WITHIN_S) -> T:
    """Return what `look` sees once that is something; `what` says, or finds out, what did not come about.

    Between two looks it pauses for as long as a look takes, so that dear ones leave the machine to what is waited for.
    """
    give_up_at = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        if seen := look():
            return seen
        now = time.monotonic()
        assert now < give_up_at, f"{what() if callable(what) else what} did not come about in {within_s:g} s"
        time.sleep(max(PAUSE_S, now - began))


def until_up(
    process: "subprocess.Popen[Any]", look: Callable[[], T | None], said: Callable[[], object] = str, *, within_s: float = WITHIN_S
) -> T:
    """Return what `look` sees once a process that was started is up; fail with what it `said` where it ends or stays away, and kill it."""
    try:
        seen = until(lambda: look() or process.poll() is not None, lambda: f"{process.args} {said()}\nIt", within_s=within_s)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    assert process.poll() is None, f"{process.args} ended with {process.returncode}: {said()}"
    return seen  # type: ignore[return-value]  # not True: the process has not ended
