from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from topics.sqlite import SqliteLog

STARTED_AT = 1_790_000_000_000_000


@pytest.fixture(autouse=True, params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have each test of this folder hold over both databases, each time over an empty one."""
    if request.param == "postgres":
        monkeypatch.setenv("CZ_DATABASE_URL", request.getfixturevalue("postgres").database())
    else:
        monkeypatch.delenv("CZ_DATABASE_URL", raising=False)
    return str(request.param)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "log.db")
    yield log
    log.close()


@pytest.fixture
def plane(tmp_path: Path, log: SqliteLog) -> Iterator[ControlPlane]:
    """Open a control plane whose clock moves a millisecond with each look."""
    ticks = count(STARTED_AT, 1_000)
    with ControlPlane(tmp_path, log, clock=lambda: next(ticks)) as plane:
        yield plane
