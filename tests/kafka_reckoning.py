"""What must hold when the nemesis is done: everything sent landed once, in order, and whatever could not land is in quarantine."""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pytest

from cz.doctor import examine
from cz.home import Home
from tests.kafka_nemesis import BATCH, FAULTS, RECOVERS_S_MAX, Battle, Fought, faults
from warehouse.snapshot import Warehouse

COUNTED = """
SELECT count(*) AS rows, count(DISTINCT (producer_id, seq)) AS numbers, count(DISTINCT decision_id) AS ids,
  count(*) FILTER (before >= seq) AS out_of_order
FROM (SELECT producer_id, seq, decision_id, lag(seq) OVER (PARTITION BY producer_id ORDER BY log_offset, seq) AS before FROM decisions)
"""
QUARANTINED = "SELECT producer_id, reason, quarantine_id FROM quarantine"


def fought_and_counted(folder: Path, patch: pytest.MonkeyPatch, *, seed: int, decisions: int, per_s: float, kills: int) -> Fought:
    """Fight with these faults, and assert that nothing was lost or doubled and every fault recovered from in time."""
    battle = Battle(folder, seed=seed, decisions=decisions, per_s=per_s)
    try:
        fought = battle.fight(kills)
        session = Warehouse.open(battle.home / "warehouse" / "ledger").session(None)
        assert (fought.faults.count("kill"), {*fought.faults}) == (kills, {*FAULTS})
        assert fought.faults == list(islice(faults(seed), len(fought.faults)))
        sent = len(fought.sent) * BATCH
        assert sent >= decisions
        (counted,) = session.sql(COUNTED, {}).to_pylist()
        assert counted == {"rows": sent, "numbers": sent, "ids": sent, "out_of_order": 0}
        _assert_in_quarantine(fought.poison, session.sql(QUARANTINED, {}).to_pylist())
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", battle.kafka.bootstrap_servers or "")
        examination = examine(Home(battle.home), now=time.time_ns() // 1000)
        assert all(account.balanced and not account.in_flight for account in examination.projects.values())
    finally:
        battle.close()
    slow = [(fault, round(s, 1)) for fault, s in zip(fought.faults, fought.recovered_s, strict=True) if s > RECOVERS_S_MAX]
    assert slow == [], f"of {list(zip(fought.faults, fought.recovered_s, strict=True))}"
    return fought


def _assert_in_quarantine(poison: Sequence[tuple[str | None, str]], rows: Sequence[Mapping[str, object]]) -> None:
    """Assert that each poisoned message is there with its reason, and nothing else is.

    An append that was not acknowledged may have been made, and is made again: a foreign message is nobody's and counts twice.
    """
    assert len({row["quarantine_id"] for row in rows}) == len(rows)
    found = {row["producer_id"]: str(row["reason"]) for row in rows}
    assert found.keys() == {producer for producer, _ in poison}
    assert [(producer, found[producer]) for producer, reason in poison if reason not in found[producer]] == []
    foreign = [row for row in rows if row["producer_id"] is None]
    assert len(foreign) >= sum(producer is None for producer, _ in poison)
