"""`cz topics` on a real broker: what would be made, making it, what is there, and a ledger that begins in the middle."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from controlzero.secrets_on_disk import master_key
from processors.settings import Settings
from tests.kafka_broker import Broker
from tests.kafka_nemesis import BATCH, batch_of
from tests.kafka_workers import worker
from tests.stacks import cz, last_json
from tests.traffic import contents
from tests.waiting import until
from topics.declarations import CONTROL, DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings


def said(*arguments: str, home: Path) -> str:
    done = cz(home, "topics", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("brokered")
def test_what_is_planned_is_made_and_then_there(tmp_path: Path) -> None:
    assert "Make what is missing: cz topics create" in said("list", home=tmp_path)
    planned = json.loads(said("plan", "--partitions", "3", "--json", home=tmp_path))
    assert [(one["name"], one["partitions"], one["config"]["cleanup.policy"]) for one in planned] == [
        (DECISIONS.name, 3, "delete"),
        (CONTROL.name, 1, "compact"),
    ]
    for step in ("plan", "create"):
        refused = cz(tmp_path, "topics", step, "--replication-factor", "3")
        assert (refused.returncode, "Say a smaller --replication-factor" in refused.stderr) == (1, True)
    assert last_json(cz(tmp_path, "topics", "create", "--partitions", "3", "--json"))["made"] == [DECISIONS.name, CONTROL.name]
    listed = json.loads(said("list", "--json", home=tmp_path))
    assert [(one["name"], one["state"], one["partitions"], one["differences"]) for one in listed] == [
        (DECISIONS.name, "there", 3, []),
        (CONTROL.name, "there", 1, []),
    ]
    assert "a single broker has it: its disk is the only copy" in said("list", home=tmp_path)
    assert "Nothing to do" in said("plan", home=tmp_path)
    again = said("create", "--partitions", "4", home=tmp_path)
    assert f"{DECISIONS.name} has 3 partitions and keeps them." in again


def test_a_new_ledger_may_begin_at_an_offset_and_no_other_may(own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", own_broker.bootstrap)
    with closing(KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))) as log:
        places = log.append(DECISIONS.name, [batch_of(0, number * BATCH) for number in range(5)])
    partition = places[0][0]
    master_key(tmp_path)
    for wrong, why in ((f"{partition}:6", "is not in the log, which holds 0 up to 5"), ("9:0", "has 0 to 3"), ("3", "such as 0:118000")):
        refused = cz(tmp_path, "topics", "begin", wrong)
        assert (refused.returncode, why in refused.stderr) == (1, True), refused.stderr
    begun = last_json(cz(tmp_path, "topics", "begin", f"{partition}:3", "--json"))
    assert begun == {str(number): 3 if number == partition else 0 for number in range(DECISIONS.partitions)}
    ledger = Settings(home=tmp_path).ledger_path
    with worker(tmp_path, own_broker.environment):
        until(lambda: len(contents(ledger)["decisions"]) >= 2 * BATCH, "landing what comes from there on")
    assert {row["log_offset"] for row in contents(ledger)["decisions"]} == {3, 4}
    refused = cz(tmp_path, "topics", "begin", f"{partition}:5")
    assert (refused.returncode, "begin in a new data folder" in refused.stderr) == (1, True)
