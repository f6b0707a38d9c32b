"""The log and the gateway killed and refused at hundreds of points."""

from pathlib import Path

import pytest

from tests.crash.test_gateway_killed import kill_at_any_time, kill_at_calls
from tests.crash.test_sqlite_log_killed import kill_again_and_again, refuse_again_and_again
from tests.gateways import prepared


@pytest.mark.needs("strace")
@pytest.mark.parametrize("seed", range(10, 20))
def test_the_log_killed_for_long(tmp_path: Path, seed: int) -> None:
    assert kill_again_and_again(tmp_path / "log.db", seed=seed, kills=40) >= 25


@pytest.mark.needs("strace")
@pytest.mark.parametrize("seed", range(20, 25))
def test_the_log_refused_for_long(tmp_path: Path, seed: int) -> None:
    assert refuse_again_and_again(tmp_path / "log.db", seed=seed, refusals=40) >= 20


@pytest.mark.needs("strace")
@pytest.mark.parametrize("seed", range(30, 33))
def test_the_gateway_killed_at_its_calls_for_long(tmp_path: Path, seed: int) -> None:
    assert kill_at_calls(prepared(tmp_path), seed=seed, kills=20) > 100


@pytest.mark.parametrize("seed", range(40, 43))
def test_the_gateway_killed_at_any_time_for_long(tmp_path: Path, seed: int) -> None:
    assert kill_at_any_time(prepared(tmp_path), seed=seed, kills=20) > 100
