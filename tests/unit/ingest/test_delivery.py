from pathlib import Path

import pytest

from controlzero.recorder.link import step_after
from controlzero.records import INT64_MAX, SCHEMA_VERSION, Decision, Loss, Outcome
from ingest.delivery import producer_of_content, read_headers, total_after
from ingest.limits import BODY_BYTES_MAX
from ingest.problems import Refusal

REPOSITORY = Path(__file__).parents[3]
NUMBERED = {b"cz-producer": b"run-1", b"cz-first-seq": b"10"}

# What each version of the records holds. One that was released stays as it is: whoever reads it refuses any other field.
FIELDS_OF_VERSION = {
    1: {
        "Decision": frozenset(
            [
                "action",
                "action_raw",
                "agent_id",
                "args",
                "args_digest",
                "bundle_digest",
                "bundle_state",
                "decision_id",
                "effect",
                "environment",
                "evaluated_rules",
                "evaluation_time_ns",
                "facts",
                "method",
                "mode",
                "occurred_at",
                "policy_id",
                "reason",
                "reason_code",
                "redactions",
                "resource",
                "resource_claimed",
                "rule_id",
                "sdk",
                "session_id",
                "span_id",
                "tags",
                "text",
                "tool",
                "trace_id",
                "user_group",
                "user_id",
                "verdict",
            ]
        ),
        "Outcome": frozenset(
            [
                "carried_out",
                "cost_usd",
                "decision_id",
                "denial_unread",
                "error_class",
                "input_tokens",
                "latency_ms",
                "occurred_at",
                "output_tokens",
                "status",
            ]
        ),
        "Loss": frozenset(["count", "occurred_at", "reason", "since_at"]),
    }
}


def refused(headers: dict[bytes, bytes]) -> Refusal:
    with pytest.raises(Refusal) as told:
        read_headers(headers)
    return told.value


def test_a_delivery_that_says_nothing_is_plain_ndjson_of_a_producer_of_its_own() -> None:
    delivery = read_headers({})
    assert (delivery.encoding, delivery.producer_id, delivery.first_seq, delivery.closed, delivery.backfill) == (
        "identity",
        None,
        0,
        False,
        False,
    )


def test_a_producers_delivery_says_where_it_goes_on() -> None:
    delivery = read_headers({**NUMBERED, b"cz-total": b"20", b"cz-closed": b"1", b"cz-backfill": b"1", b"content-encoding": b"ZSTD"})
    assert (delivery.producer_id, delivery.first_seq, delivery.total) == ("run-1", 10, 20)
    assert (delivery.closed, delivery.backfill, delivery.encoding) == (True, True, "zstd")


@pytest.mark.parametrize(
    "content_type",
    [b"application/x-ndjson", b"application/ndjson; charset=utf-8", b'Application/JSONL;charset="UTF-8"', b"application/json"],
)
def test_names_of_ndjson_are_taken(content_type: bytes) -> None:
    assert read_headers({b"content-type": content_type}).encoding == "identity"


@pytest.mark.parametrize(
    "content_type",
    [b"application/x-www-form-urlencoded", b"text/plain", b"", b"application/ndjson; charset=latin-1", b"multipart/form-data; boundary=x"],
)
def test_other_content_types_are_refused(content_type: bytes) -> None:
    assert refused({b"content-type": content_type}).slug == "content-type"


@pytest.mark.parametrize("encoding", [b"br", b"gzip, zstd", b"deflate", b"\xff"])
def test_other_encodings_are_refused_with_those_there_are(encoding: bytes) -> None:
    refusal = refused({b"content-encoding": encoding})
    assert (refusal.slug, refusal.headers["Accept-Encoding"]) == ("content-encoding", "zstd, gzip, identity")


@pytest.mark.parametrize("value", [b"", b"a/b", b"a b", b"\xc3\xbc", b"a\n", b"x" * 129, b"http-0123"])
def test_what_is_no_producers_name_is_refused(value: bytes) -> None:
    refusal = refused({**NUMBERED, b"cz-producer": value})
    assert (refusal.slug, "`CZ-Producer`" in refusal.detail) == ("bad-header", True)


@pytest.mark.parametrize("name", [b"cz-first-seq", b"cz-total"])
@pytest.mark.parametrize("value", [b"", b"-1", b"1.0", b"1e3", b" 1", b"0x1", b"%d" % (INT64_MAX + 1), b"9" * 5000, b"\xd9\xa3"])
def test_what_is_no_number_is_refused(name: bytes, value: bytes) -> None:
    assert refused({**NUMBERED, name: value}).slug == "bad-header"


@pytest.mark.parametrize("name", [b"cz-closed", b"cz-backfill"])
@pytest.mark.parametrize("value", [b"", b"true", b"2", b"01"])
def test_a_flag_is_one_or_nought(name: bytes, value: bytes) -> None:
    assert refused({**NUMBERED, name: value}).slug == "bad-header"


@pytest.mark.parametrize("headers", [{b"cz-first-seq": b"0"}, {b"cz-total": b"1"}, {b"cz-closed": b"1"}, {b"cz-producer": b"run-1"}])
def test_numbers_and_a_producer_come_together(headers: dict[bytes, bytes]) -> None:
    assert refused(headers).slug == "bad-header"


def test_a_body_announced_as_too_long_is_refused_before_it_is_read() -> None:
    assert read_headers({b"content-length": b"%d" % BODY_BYTES_MAX}).length == BODY_BYTES_MAX
    assert refused({b"content-length": b"%d" % (BODY_BYTES_MAX + 1)}).slug == "body-too-large"


def test_the_total_is_at_least_what_is_here() -> None:
    assert total_after(read_headers(NUMBERED), 5) == 15
    assert total_after(read_headers({**NUMBERED, b"cz-total": b"15"}), 5) == 15
    assert total_after(read_headers({**NUMBERED, b"cz-total": b"99"}), 5) == 99
    with pytest.raises(Refusal, match=r"`CZ-Total` is 14, but lines 10 to 14 are here: expected 15 or more"):
        total_after(read_headers({**NUMBERED, b"cz-total": b"14"}), 5)


def test_records_of_a_newer_version_are_refused_whole_so_that_the_sender_keeps_them() -> None:
    newer = {b"cz-schema-version": b"%d" % (SCHEMA_VERSION + 1)}
    assert (refused(newer).slug, refused(newer).status) == ("schema-newer", 409)
    assert step_after(refused(newer).status) == "hold"
    assert read_headers({b"cz-schema-version": b"%d" % SCHEMA_VERSION}).first_seq == 0


def test_a_field_more_is_a_version_more() -> None:
    fields = {each.__name__: frozenset(each.__struct_fields__) for each in (Decision, Outcome, Loss)}
    assert f"SCHEMA_VERSION = {SCHEMA_VERSION};" in (REPOSITORY / "sdk-node" / "src" / "records.ts").read_text()
    assert fields == FIELDS_OF_VERSION[SCHEMA_VERSION], "what reads an older version quarantines the new field: count SCHEMA_VERSION up"


def test_numbers_do_not_run_over() -> None:
    with pytest.raises(Refusal, match=r"pass 2\^63"):
        total_after(read_headers({**NUMBERED, b"cz-first-seq": b"%d" % INT64_MAX}), 1)


def test_the_same_lines_are_the_same_producer_and_others_are_not() -> None:
    assert producer_of_content("p", b"lines") == producer_of_content("p", b"lines") == "http-67b971bc06b99268c0188516"
    assert len({producer_of_content("p", b"lines"), producer_of_content("q", b"lines"), producer_of_content("p", b"line")}) == 3
