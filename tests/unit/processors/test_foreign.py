"""What other programs write to the decisions topic: one record a message, plain or as a CloudEvent."""

import json

import pytest

from controlzero.records import Decision
from processors.flow import Opened, Unreadable
from processors.steps.decode import decode
from processors.testing import RECEIVED_AT
from topics.log import Message

ID = "01937a5e-0000-7000-8000-000000000001"
RECORD = {"decision_id": ID, "occurred_at": 7, "action": "database:query", "mode": "log-only", "effect": "allow", "agent_id": "etl"}
UNTOLD = {name: value for name, value in RECORD.items() if name not in ("decision_id", "occurred_at")}
EVENT = {"specversion": "1.0", "id": ID, "source": "/etl", "type": "com.example.decision", "time": "2026-11-21T08:30:00.5Z"}
AT = 1_795_249_800_500_000


def opened(value: object, *, key: bytes = b"shop/etl", **headers: str) -> Opened:
    encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
    names = {name.replace("__", "-"): text for name, text in headers.items()}
    (one,) = decode([Message(partition=1, offset=9, key=key, value=encoded, headers=names)], log_id="log", now=RECEIVED_AT)
    return one


def decision(found: Opened) -> Decision:
    (line,) = found.lines
    assert isinstance(line, Decision), line
    return line


@pytest.mark.parametrize("record", [RECORD, {"kind": "decision", **RECORD}])
def test_a_decision_alone_is_one_record_of_the_project_in_its_key(record: dict[str, object]) -> None:
    found = opened(record)
    assert decision(found).action == "database:query"
    assert (found.place.project_id, found.place.count, found.place.total, found.place.closed) == ("shop", 1, 1, True)
    assert (found.place.log_partition, found.place.log_offset, found.place.received_at) == (1, 9, RECEIVED_AT)


def test_the_same_message_again_is_the_same_producer_and_another_is_not() -> None:
    producers = [opened(record).place.producer_id for record in (RECORD, RECORD, {**RECORD, "agent_id": "other"})]
    assert producers[0] == producers[1] != producers[2]


def test_a_header_names_the_project_before_the_key() -> None:
    assert opened(RECORD, project="bank").place.project_id == "bank"


def test_a_structured_cloud_event_says_what_its_record_does_not() -> None:
    found = opened({**EVENT, "project": "bank", "data": UNTOLD}, key=b"", content__type="application/cloudevents+json; charset=utf-8")
    assert found.place.project_id == "bank"
    assert (decision(found).decision_id, decision(found).occurred_at) == (ID, AT)


def test_a_binary_cloud_event_says_what_its_record_does_not() -> None:
    found = opened(UNTOLD, key=b"", **{f"ce_{name}": text for name, text in EVENT.items()}, ce_project="bank")
    assert found.place.project_id == "bank"
    assert (decision(found).decision_id, decision(found).occurred_at) == (ID, AT)


def test_a_record_s_own_word_counts_before_its_event_s() -> None:
    found = opened({**EVENT, "id": "another", "data": RECORD}, content__type="application/cloudevents+json")
    assert (decision(found).decision_id, decision(found).occurred_at) == (ID, 7)


def test_an_event_s_id_that_is_no_uuid_becomes_one_of_its_source() -> None:
    def id_of(source: str) -> str:
        event = {**EVENT, "id": "17", "source": source, "data": UNTOLD}
        return decision(opened(event, content__type="application/cloudevents+json")).decision_id

    assert id_of("/a") == id_of("/a") != id_of("/b")
    assert id_of("/a")[14] == "8"


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"\xff", {}, "no JSON object"),
        (b"[1]", {}, "no JSON object"),
        (b"", {}, "no JSON object"),
        (b"{" * 100_000, {}, "no JSON object"),
        ({"id": "1"}, {"content__type": "application/cloudevents+json"}, "no CloudEvent, though its content-type says so"),
        (RECORD, {"ce_specversion": "1.0"}, "no CloudEvent, though its headers say so"),
        ({**EVENT, "time": "noon", "data": UNTOLD}, {"content__type": "application/cloudevents+json"}, "expected RFC 3339"),
        ({**EVENT, "time": "2026-11-21", "data": UNTOLD}, {"content__type": "application/cloudevents+json"}, "expected an offset from UTC"),
    ],
)
def test_what_is_no_record_is_the_project_s_with_the_reason(value: object, headers: dict[str, str], reason: str) -> None:
    found = opened(value, **headers)
    (line,) = found.lines
    assert isinstance(line, Unreadable)
    assert reason in line.reason
    assert (found.place.project_id, found.place.count, found.place.closed) == ("shop", 1, True)


def test_what_is_no_record_and_names_no_project_is_nobody_s() -> None:
    found = opened(b"\xff", key=b"")
    assert found.unreadable is not None
    assert (found.place.project_id, found.place.producer_id, found.place.count) == ("", "", 1)


@pytest.mark.parametrize("key", [b"", b"\xff/x", b"no spaces allowed/x", b"/x"])
def test_what_names_no_project_is_nobody_s(key: bytes) -> None:
    found = opened(RECORD, key=key)
    assert found.unreadable is not None
    assert "no project is named" in found.unreadable.reason


def test_a_record_that_does_not_fit_its_type_is_the_project_s_with_its_path() -> None:
    (line,) = opened({**RECORD, "mode": "loud"}).lines
    assert isinstance(line, Unreadable)
    assert line.path == "$.mode"
