"""Two thousand bodies nobody should send: each is answered, none is lost, memory stays bounded, and the next good batch goes in."""

from collections import Counter
from pathlib import Path

from controlzero.records import Rejected
from ingest.problems import KINDS
from tests.garbage import garbage
from tests.gateways import AUTHORIZED, batches, lines, prepared, records, running_gateway, wait_until_ready

COUNT = 2_000
RSS_BYTES_MAX = 300 * 2**20  # it idles at 72 MiB; decoding the largest body takes another 50


def test_every_body_is_answered_and_the_next_good_batch_is_taken(tmp_path: Path) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    accepted = rejected = taken = 0
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        with gateway.client() as client:
            for number, one in enumerate(garbage(seed=20, count=COUNT)):
                headers = [(name.encode(), value.encode("latin-1")) for name, value in {**AUTHORIZED, **one.headers}.items()]
                response = client.post("/v1/decisions", content=one.body, headers=headers)
                answers[one.what, response.status_code] += 1
                if response.status_code == 202:
                    receipt = response.json()
                    taken += 1
                    accepted += receipt["accepted"]
                    rejected += len(receipt["rejected"])
                    assert all(line["code"] and line["path"] and line["reason"] for line in receipt["rejected"])
                else:
                    assert response.status_code in {403, 413, 415, 422}, (one.what, response.text)
                    assert response.json()["type"].removeprefix("/docs#") in KINDS
                if number % 50 == 0:
                    assert gateway.rss_bytes < RSS_BYTES_MAX
                    fine = client.post(
                        "/v1/decisions", content=lines(20), headers={**AUTHORIZED, "CZ-Producer": "fine", "CZ-First-Seq": str(number)}
                    )
                    assert fine.json()["accepted"] == 20
        assert gateway.rss_bytes < RSS_BYTES_MAX
        assert gateway.ended() == 0
    held = [records(batch) for batch in batches(tmp_path) if batch.producer_id != "fine"]
    assert len(held) == taken
    assert sum(isinstance(record, Rejected) for batch in held for record in batch) == rejected
    assert sum(map(len, held)) == accepted + rejected
    assert {status for _, status in answers} >= {202, 413, 415, 422}
    assert taken > COUNT / 4
