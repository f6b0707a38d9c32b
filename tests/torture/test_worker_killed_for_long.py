"""The same as in tests/crash, hundreds of times, until workers have died at every kind of call."""

from collections import Counter
from pathlib import Path

from tests.crash.test_worker_killed import killed_until_done


def test_workers_killed_hundreds_of_times_lose_and_double_nothing(tmp_path: Path) -> None:
    died: Counter[str] = Counter()
    seed = 1_000
    while sum(died.values()) < 400:
        died += killed_until_done(tmp_path, seed=seed, messages=150)
        seed += 1
    assert {"write", "fsync", "link", "unlink"} <= set(died), died
