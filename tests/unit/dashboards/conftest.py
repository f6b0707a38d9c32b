import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from tests.ledgers import Grown, empty_home, grown_home

NOW_US = time.time_ns() // 1000


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """A data folder with a believable fortnight; tests read it."""
    return grown_home(tmp_path_factory.mktemp("grown"), now_us=NOW_US, per_day=60)


@pytest.fixture(scope="session")
def grown_desk(grown: Grown) -> Iterator[Desk]:
    desk = desk_over(grown.home)
    yield desk
    desk.close()


@pytest.fixture(scope="session")
def empty_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = desk_over(empty_home(tmp_path_factory.mktemp("empty"), now_us=NOW_US))
    yield desk
    desk.close()


def desk_over(home: Path) -> Desk:
    desk = open_desk(Settings(home=home, actor="tester"))
    return replace(desk, clock=lambda: datetime.fromtimestamp(NOW_US / 1e6, UTC))
