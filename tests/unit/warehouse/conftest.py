"""A ledger in a folder of the test's own, with a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from controlzero.testing import STARTED_AT, SettableClock
from warehouse.compaction import Compactor
from warehouse.lander import Lander
from warehouse.snapshot import Warehouse
from warehouse.testing import ids

Ask = Callable[..., list[dict[str, object]]]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "ledger"


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(STARTED_AT + 3_600_000_000)


@pytest.fixture
def lander(ledger: Path, clock: SettableClock) -> Lander:
    return Lander(ledger, clock=clock, new_id=ids())


@pytest.fixture
def compactor(lander: Lander, ledger: Path, clock: SettableClock) -> Compactor:
    return Compactor(ledger, clock=clock, new_id=ids(1 << 32))


@pytest.fixture
def ask(ledger: Path) -> Iterator[Ask]:
    """Ask the newest version of the ledger, as an operator unless a project is named."""
    warehouse = Warehouse.open(ledger, threads=1)

    def answer(statement: str, project: str | None = None, **parameters: object) -> list[dict[str, object]]:
        table: pa.Table = warehouse.session(project).sql(statement, parameters)
        return table.to_pylist()

    yield answer
    warehouse.close()
