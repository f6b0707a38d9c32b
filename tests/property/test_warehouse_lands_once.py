"""Whatever order landers, compactors and keepers work in, every message lands once."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.testing import STARTED_AT, SettableClock
from tests.s3_server import BUCKET, S3Server
from warehouse.compaction import Compactor
from warehouse.lander import Lander, OffsetGap
from warehouse.removal import GRACE_S, SHARED_ENTRY_GRACE_S, checkpoint, sweep
from warehouse.snapshot import Warehouse
from warehouse.stores import Bucket, Place
from warehouse.testing import DECISIONS, a_landing, an_app_id, ids, together
from warehouse.verification import damages

PARTITIONS = 2
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # its fsyncs wait for nobody
ranges = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda ends: range(ends[0], ends[0] + ends[1]))
steps = st.one_of(
    st.tuples(st.just("land"), st.integers(0, 1), st.tuples(*[ranges] * PARTITIONS)),
    st.tuples(st.just("lands next"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.sampled_from(["compact", "sweep", "checkpoint", "open again", "a quarter of an hour later", "a day later"])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=2, max_size=10))
def test_every_message_lands_once_in_whatever_order(script: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        follow(script, Path(folder) / "ledger", since=STARTED_AT + 10**9)


@pytest.mark.needs("s3")
@settings(max_examples=15, deadline=None)
@given(script=st.lists(steps, min_size=2, max_size=10))
def test_and_in_a_bucket_too(s3_server: S3Server, script: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        url = f"s3://{BUCKET}/{uuid.uuid4().hex}/ledger"
        bucket = Bucket(url=url, cache=Path(folder), cache_bytes_max=1 << 30, allow_http=True)
        follow(script, bucket, since=time.time_ns() // 1000)  # the age of objects is by the server's clock


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
    server.kill()


def follow(script: list[tuple[object, ...]], ledger: Place, *, since: int) -> None:
    """Do what a script says, and assert that every message landed once."""
    clock, new_id = SettableClock(since), ids()
    landers = [Lander(ledger, clock=clock, new_id=new_id) for _ in range(2)]
    compactor = Compactor(ledger, clock=clock, new_id=new_id)
    landed = [0] * PARTITIONS
    for step in script:
        match step:
            case ("land", which, of):
                attempt(landers[which], of, landed)
            case ("lands next", which, count):
                attempt(landers[which], [range(at, at + count) for at in landed], landed)
            case ("compact",):
                compactor.compact()
            case ("sweep",):
                sweep(compactor.log, now_ms=clock.now // 1000, new_id=new_id)
            case ("checkpoint",):
                checkpoint(compactor.log, entries=2)
            case ("open again",):
                landers[0] = Lander(ledger, clock=clock, new_id=new_id)
                compactor = Compactor(ledger, clock=clock, new_id=new_id)
            case ("a day later",):
                clock.advance(SHARED_ENTRY_GRACE_S + 1)
                for log in (*(lander._log for lander in landers), compactor.log):
                    log._read_at_s = float("-inf")  # a day ago, by a clock that no test moves
            case _:
                clock.advance(GRACE_S + 1)
    assert landers[1].landed(map(an_app_id, range(PARTITIONS))) == {an_app_id(p): at for p, at in enumerate(landed) if at}
    assert held(ledger) == {"decisions": DECISIONS * sum(landed), "ids": DECISIONS * sum(landed), "counted": DECISIONS * sum(landed)}
    assert list(damages(ledger)) == []


def attempt(lander: Lander, of: "list[range] | tuple[range, ...]", landed: list[int]) -> None:
    """Land, and foretell what lands: nothing where a partition would have a gap, else everything up to the ends.

    A partition that never landed begins wherever its first landing does; here that is always 0.
    """
    of = [range(part.stop) if not at else part for part, at in zip(of, landed, strict=True)]
    parts = [a_landing(part, partition=p) for p, part in enumerate(of) if len(part)]
    if not parts:
        return
    if any(len(part) and part.start > at for part, at in zip(of, landed, strict=True)):
        try:
            lander.land(together(parts))
        except OffsetGap:
            return
        raise AssertionError("a landing with a gap was taken")
    lander.land(together(parts))
    landed[:] = [max(at, part.stop) if len(part) else at for part, at in zip(of, landed, strict=True)]


def held(ledger: Place) -> dict[str, int]:
    warehouse = Warehouse.open(ledger, threads=1)
    try:
        rows = warehouse.session(None).sql(
            """
            SELECT count(*) AS decisions, count(DISTINCT decision_id) AS ids,
              (SELECT coalesce(sum(decisions), 0) FROM rollup_detail)::BIGINT AS counted
            FROM decisions
            """,
            {},
        )
        return rows.to_pylist()[0]
    finally:
        warehouse.close()
