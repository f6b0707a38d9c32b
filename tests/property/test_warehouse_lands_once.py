"""Whatever order landers, compactors and keepers work in, every message lands once."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.testing import STARTED_AT, SettableClock
from warehouse.compaction import Compactor
from warehouse.lander import Lander, OffsetGap
from warehouse.removal import GRACE_S, checkpoint, sweep
from warehouse.snapshot import Warehouse
from warehouse.testing import DECISIONS, a_landing, an_app_id, ids, together
from warehouse.verification import damages

PARTITIONS = 2
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # its fsyncs wait for nobody
ranges = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda ends: range(ends[0], ends[0] + ends[1]))
steps = st.one_of(
    st.tuples(st.just("land"), st.integers(0, 1), st.tuples(*[ranges] * PARTITIONS)),
    st.tuples(st.just("lands next"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.sampled_from(["compact", "sweep", "checkpoint", "open again", "a quarter of an hour later"])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=2, max_size=10))
def test_every_message_lands_once_in_whatever_order(script: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        ledger = Path(folder) / "ledger"
        clock, new_id = SettableClock(STARTED_AT + 10**9), ids()
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


def held(ledger: Path) -> dict[str, int]:
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
