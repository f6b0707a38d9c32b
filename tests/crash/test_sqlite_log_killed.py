"""The log's process killed at any write, sync, truncation or lock, and refused by the disk at any of them."""

import random
from pathlib import Path

import pytest

from tests.dying_appenders import CALLS, ERRORS, assert_kept, run_appender

pytestmark = pytest.mark.needs("strace")
MESSAGES = 12


def kill_again_and_again(path: Path, *, seed: int, kills: int) -> int:
    """Append through processes that are killed, each going on where the last was; return how many were."""
    chance = random.Random(seed)
    appended: list[int] = []
    first = killed = end = trimmed_below = 0
    for _ in range(kills):
        call = chance.choice(("pwrite64", "pwrite64", *CALLS))
        run = run_appender(path, first, MESSAGES, inject=f"{call}:signal=SIGKILL:when={chance.randint(1, CALLS[call])}")
        assert run.refused == []
        killed += run.status != 0
        appended += run.appended
        trimmed_below = max(trimmed_below, run.trimmed_below)
        first += MESSAGES
        end, before = assert_kept(path, appended, trimmed_below, repeats=False), end
        assert before + len(run.appended) <= end <= before + len(run.appended) + 1, "one message at most is there without its answer"
    return killed


def refuse_again_and_again(path: Path, *, seed: int, refusals: int) -> int:
    """Append through processes to whom the disk says no for a while; return how often it did."""
    chance = random.Random(seed)
    appended: list[int] = []
    first = refused = trimmed_below = 0
    for _ in range(refusals):
        call, error = chance.choice(("pwrite64", "fdatasync", "flock", "ftruncate")), chance.choice(ERRORS)
        begin = chance.randint(1, CALLS[call])
        run = run_appender(path, first, MESSAGES, inject=f"{call}:error={error}:when={begin}..{begin + chance.choice((0, 1, 6))}")
        assert run.status == 0, run
        assert run.appended == list(range(first, first + MESSAGES))
        assert all("log" in why and ("it is tried again" in why or ";" in why) for why in run.refused)
        refused += len(run.refused)
        appended += run.appended
        trimmed_below = max(trimmed_below, run.trimmed_below)
        first += MESSAGES
        assert_kept(path, appended, trimmed_below, repeats=True)
    return refused


def test_a_log_killed_at_any_call_keeps_what_was_durable_once_and_whole(tmp_path: Path) -> None:
    assert kill_again_and_again(tmp_path / "log.db", seed=1, kills=20) >= 15


def test_a_log_the_disk_refuses_takes_appends_again_and_has_lost_none(tmp_path: Path) -> None:
    assert refuse_again_and_again(tmp_path / "log.db", seed=2, refusals=14) >= 8
