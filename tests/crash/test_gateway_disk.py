"""A disk that is full: senders are told when to come again, nothing accepted is lost, and delivery goes on by itself."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero.batch import partition_of
from controlzero.errors import Unavailable
from controlzero.records import encode_record
from controlzero.testing import a_decision
from tests.gateways import AUTHORIZED, RunningGateway, batches, lines, prepared, records, running_gateway, wait_until_ready
from tests.small_disks import fill, small_disk
from tests.waiting import until
from topics.declarations import DECISIONS
from topics.log import Bounds
from topics.sqlite import SqliteLog

PARTITION = partition_of(b"k", DECISIONS.partitions)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "24m") as disk:
        yield disk


def test_a_log_on_a_full_disk_takes_nothing_loses_nothing_and_goes_on_once_there_is_room(disk: Path) -> None:
    log = SqliteLog(disk / "log.db")
    before = os.urandom(100_000)
    log.append(DECISIONS.name, [(b"k", before, {})])
    ballast = fill(disk)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"the disk is full; free some space on its filesystem \(nothing was appended") as told:
            log.append(DECISIONS.name, [(b"k", b"small", {}), (b"k", os.urandom(1_000_000), {})])
        assert told.value.retry_after_s
    assert log.bounds(DECISIONS.name, PARTITION) == Bounds(0, 1)
    ballast.unlink()
    assert log.append(DECISIONS.name, [(b"k", b"after", {})]) == [(PARTITION, 1)]
    assert [message.value for message in log.read(DECISIONS.name, PARTITION, 0, bytes_max=1 << 20)] == [before, b"after"]
    log.close()


def test_a_log_that_finds_a_full_disk_opens_once_there_is_room(disk: Path) -> None:
    log = SqliteLog(disk / "log.db")
    log.append(DECISIONS.name, [(b"k", b"before", {})])
    log.close()
    ballast = fill(disk)
    with pytest.raises(Unavailable, match="the disk does not answer"):  # its shared memory file takes 32 KB
        SqliteLog(disk / "log.db")
    ballast.unlink()
    log = SqliteLog(disk / "log.db")
    assert [message.value for message in log.read(DECISIONS.name, PARTITION, 0, bytes_max=1)] == [b"before"]
    log.close()


def hard_to_compress(count: int) -> bytes:
    chance = random.Random(count)
    return b"".join(encode_record(a_decision(text=chance.randbytes(8_000).hex())) + b"\n" for _ in range(count))


def wait_until_taken(gateway: RunningGateway, first: int) -> None:
    until(lambda: gateway.post(lines(1, first=first), CZ_Producer="after", CZ_First_Seq="0").status_code == 202, "a delivery that is taken")


def test_a_gateway_on_a_full_disk_says_so_and_recovers_without_a_hand(disk: Path) -> None:
    with running_gateway(prepared(disk / "home")) as gateway:
        wait_until_ready(gateway)
        assert gateway.post(lines(10), CZ_Producer="before", CZ_First_Seq="0").status_code == 202
        ballast = fill(disk, leave=500_000)
        refused = gateway.post(lines(1, first=50), CZ_Producer="full", CZ_First_Seq="0")
        assert (refused.status_code, refused.json()["type"]) == (503, "/docs#disk-nearly-full")
        assert int(refused.headers["retry-after"]) >= 1
        assert "MiB are free" in gateway.get("/readyz").json()["why"]
        assert gateway.get("/v1/bundle").status_code == 200
        ballast.unlink()
        wait_until_taken(gateway, first=60)
        wait_until_ready(gateway)
        assert gateway.ended() == 0
    assert {(batch.producer_id, batch.count) for batch in batches(disk / "home")} == {("before", 10), ("after", 1)}


def test_a_batch_that_no_longer_fits_is_refused_whole(disk: Path) -> None:
    body = hard_to_compress(400)  # some 3 MB in the log
    with running_gateway(prepared(disk / "home")) as gateway:
        wait_until_ready(gateway)
        taken = 0
        with gateway.client() as client:
            while True:
                headers = {**AUTHORIZED, "CZ-Producer": "many", "CZ-First-Seq": str(taken * 400)}
                answer = client.post("/v1/decisions", content=body, headers=headers)
                if answer.status_code != 202:
                    break
                taken += 1
        assert (answer.status_code, answer.json()["type"]) in {(503, "/docs#disk-nearly-full"), (503, "/docs#log-unavailable")}
        assert taken >= 1
        gateway.process.kill()
        gateway.process.wait()
    held = [batch for batch in batches(disk / "home") if batch.producer_id == "many"]
    assert [batch.first_seq for batch in held] == [400 * number for number in range(taken)]
    assert all(len(records(batch)) == 400 for batch in held)
