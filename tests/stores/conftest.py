"""A bucket of a real S3 server for each test, and what works on a ledger in it."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from controlzero.testing import STARTED_AT, SettableClock
from tests.s3_server import BUCKET, S3Server
from warehouse.compaction import Compactor
from warehouse.lander import Lander
from warehouse.snapshot import Warehouse
from warehouse.stores import Bucket
from warehouse.testing import ids

Ask = Callable[[str], list[dict[str, object]]]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.kill()


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(url=f"s3://{BUCKET}/{uuid.uuid4().hex}/ledger", cache=tmp_path / "cache", cache_bytes_max=1 << 30, allow_http=True)


@pytest.fixture
def elsewhere(bucket: Bucket, tmp_path: Path) -> Bucket:
    """The same ledger, as another machine has it."""
    return replace(bucket, cache=tmp_path / "another machine")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(STARTED_AT + 3_600_000_000)


@pytest.fixture
def lander(bucket: Bucket, clock: SettableClock) -> Lander:
    return Lander(bucket, clock=clock, new_id=ids())


@pytest.fixture
def compactor(lander: Lander, bucket: Bucket, clock: SettableClock) -> Compactor:
    return Compactor(bucket, clock=clock, new_id=ids(1 << 32))


@pytest.fixture
def ask(bucket: Bucket) -> Iterator[Ask]:
    """Ask the newest version of the ledger, as an operator."""
    warehouse = Warehouse.open(bucket, threads=1)
    yield lambda statement: warehouse.session(None).sql(statement, {}).to_pylist()
    warehouse.close()


@pytest.fixture
def now() -> SettableClock:
    """A clock that agrees with the server's, for what goes by the age of objects."""
    return SettableClock(time.time_ns() // 1000)
