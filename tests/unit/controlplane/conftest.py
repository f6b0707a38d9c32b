from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from topics.sqlite import SqliteLog

STARTED_AT = 1_790_000_000_000_000


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
