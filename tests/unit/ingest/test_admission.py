import base64
import hashlib
import json

import msgspec
import pytest

from controlzero.records import QUARANTINE_BYTES_MAX, TAGS_MAX, Loss, Outcome, Rejected, encode_record
from controlzero.testing import STARTED_AT, a_decision
from ingest.admission import Admission, RejectedLine, TooManyLines, admit_line_by_line, flaw_of
from ingest.intake import admit_fine
from ingest.limits import DEPTH_MAX, LINE_BYTES_MAX, LINES_MAX, OCCURRED_AT_MIN

DECISION = encode_record(a_decision())
OUTCOME = encode_record(
    Outcome(decision_id="01990000-0000-7000-8000-000000000001", occurred_at=STARTED_AT, carried_out=True, status="ok", latency_ms=1.5)
)
LOSS = encode_record(Loss(occurred_at=STARTED_AT, since_at=STARTED_AT, count=3, reason="spool_full"))


def with_more(members: bytes) -> bytes:
    """Return a decision without `args`, with these members added."""
    return encode_record(a_decision(args=msgspec.Raw(b"null")))[:-1].replace(b',"args":null', b"") + b"," + members + b"}"


def nested(levels: int) -> bytes:
    """Return a decision whose line nests so deep, itself included."""
    inner = levels - 2
    return with_more(b'"args":{"a":' + b"[" * inner + b"]" * inner + b"}")


def test_fine_lines_go_into_the_log_as_they_are() -> None:
    body = DECISION + b"\n" + OUTCOME + b"\n" + LOSS + b"\n"
    assert admit_fine(body) == Admission(lines=body, count=3)
    assert admit_line_by_line(body) == Admission(lines=body, count=3)


def test_the_last_line_may_lack_its_end_and_gets_one() -> None:
    assert admit_line_by_line(DECISION) == Admission(lines=DECISION + b"\n", count=1)


def test_lines_may_end_in_crlf_and_blank_ones_are_not_counted() -> None:
    body = DECISION + b"\r\n\r\n  \n" + OUTCOME + b"\r\n"
    assert admit_line_by_line(body) == Admission(lines=DECISION + b"\n" + OUTCOME + b"\n", count=2)


def test_another_writers_spaces_order_and_escapes_are_fine() -> None:
    written = json.dumps({**json.loads(DECISION), "text": "grüße 😀", "resource": None}, indent=None, sort_keys=True).encode()
    assert b"\\ud83d" in written
    assert admit_fine(written + b"\n") is None
    assert admit_line_by_line(written + b"\n") == Admission(lines=written + b"\n", count=1)


def test_a_rejected_line_stays_in_its_place_with_its_reason_bytes_length_and_hash() -> None:
    admission = admit_line_by_line(DECISION + b"\n{bad\n" + OUTCOME + b"\n")
    assert (admission.count, [line.line for line in admission.rejected]) == (3, [1])
    first, rejected, last, end = admission.lines.split(b"\n")
    assert (first, last, end) == (DECISION, OUTCOME, b"")
    kept = msgspec.json.decode(rejected, type=Rejected)
    assert (kept.bytes, kept.length, kept.sha256) == (b"{bad", 4, hashlib.sha256(b"{bad").hexdigest())
    assert RejectedLine(1, kept.code, kept.path, kept.reason) == admission.rejected[0]


def test_of_a_rejected_line_no_more_than_the_bound_is_kept() -> None:
    line = b"x" * (QUARANTINE_BYTES_MAX + 1)
    kept = json.loads(admit_line_by_line(line).lines)
    assert base64.b64decode(kept["bytes"]) == line[:-1]
    assert (kept["length"], kept["sha256"]) == (len(line), hashlib.sha256(line).hexdigest())


def test_a_batch_of_the_most_lines_is_taken_and_one_more_is_not() -> None:
    assert admit_line_by_line(b"{}\n" * LINES_MAX).count == LINES_MAX
    with pytest.raises(TooManyLines):
        admit_line_by_line(b"{}\n" * (LINES_MAX + 1))


def test_a_body_of_line_ends_alone_is_not_cut_into_millions() -> None:
    with pytest.raises(TooManyLines):
        admit_line_by_line(b"\n" * 5_000_000)


@pytest.mark.parametrize("count", [LINES_MAX, LINES_MAX + 1])
def test_the_fast_way_keeps_to_the_most_lines(count: int) -> None:
    admission = admit_fine((LOSS + b"\n") * count)
    assert (admission is not None) == (count == LINES_MAX)


REJECTED = {
    "no JSON": (b"{bad", "not_json", "$"),
    "cut": (DECISION[:-1], "not_json", "$"),
    "two records": (DECISION + DECISION, "not_json", "$"),
    "a byte order mark": (b"\xef\xbb\xbf" + DECISION, "not_json", "$"),
    "NaN": (with_more(b'"args":{"a":NaN}'), "not_json", "$"),
    "a control character": (with_more(b'"user_id":"\x01"'), "not_json", "$"),
    "an array": (b"[]", "invalid", "$"),
    "null": (b"null", "invalid", "$"),
    "no kind": (b"{}", "unknown_kind", "$.kind"),
    "another kind": (b'{"kind":"rejected"}', "unknown_kind", "$.kind"),
    "a kind that is no text": (b'{"kind":5}', "unknown_kind", "$.kind"),
    "a field missing": (b'{"kind":"loss","occurred_at":1}', "invalid", "$"),
    "a wrong type": (with_more(b'"tags":{},"evaluated_rules":"3"'), "invalid", "$.evaluated_rules"),
    "a wrong type inside": (with_more(b'"redactions":[{"path":"a","type":"b","count":0.5}]'), "invalid", "$.redactions[0].count"),
    "too large a number": (with_more(b'"evaluation_time_ns":9223372036854775808'), "invalid", "$.evaluation_time_ns"),
    "too long a name": (with_more(b'"user_id":"%s"' % (b"x" * 513)), "invalid", "$.user_id"),
    "no mode": (DECISION.replace(b'"enforce"', b'"dry-run"'), "invalid", "$.mode"),
    "an unknown field": (with_more(b'"toolname":"x"'), "unknown_field", "$.toolname"),
    "bytes that are no text": (with_more(b'"user_id":"\xff"'), "not_utf8", "$"),
    "bytes that are no text in arguments": (with_more(b'"args":{"a":"\xff"}'), "not_utf8", "$"),
    "half a character": (with_more(b'"args":{"a":["\\ud800"]}'), "lone_surrogate", "$.args.a[0]"),
    "half a character in a name": (with_more(b'"args":{"\\udc00":1}'), "lone_surrogate", "$.args"),
    "a field twice": (with_more(b'"action":"other"'), "duplicate_key", "$.action"),
    "an argument twice": (with_more(b'"args":{"x":[{"a b":{"q":1,"q":2}}]}'), "duplicate_key", '$.args.x[0]["a b"].q'),
    "an argument twice, once escaped": (with_more(b'"args":{"a":1,"\\u0061":2}'), "duplicate_key", "$.args.a"),
    "a number no double holds": (with_more(b'"args":{"a":[1,-1e999]}'), "number_out_of_range", "$.args.a[1]"),
    "a number of 500 digits": (with_more(b'"args":{"a":1%s}' % (b"0" * 500)), "number_out_of_range", "$.args.a"),
    "infinite latency": (OUTCOME.replace(b"1.5", b"1e999"), "invalid", "$.latency_ms"),
    "a time in seconds": (LOSS.replace(b"%d" % STARTED_AT, b"%d" % (STARTED_AT // 10**6)), "not_microseconds", "$.occurred_at"),
    "a time in milliseconds": (DECISION.replace(b"%d" % STARTED_AT, b"%d" % (STARTED_AT // 1000)), "not_microseconds", "$.occurred_at"),
    "a time before 2000": (OUTCOME.replace(b"%d" % STARTED_AT, b"%d" % (OCCURRED_AT_MIN - 1)), "not_microseconds", "$.occurred_at"),
    "a time in nanoseconds": (DECISION.replace(b"%d" % STARTED_AT, b"%d000" % STARTED_AT), "invalid", "$.occurred_at"),
    "arguments in a list": (with_more(b'"args":[1]'), "not_an_object", "$.args"),
    "tags that are text": (with_more(b'"tags":"a"'), "not_an_object", "$.tags"),
    "facts that are a number": (with_more(b'"facts":1'), "not_an_object", "$.facts"),
    "too many tags": (
        with_more(b'"tags":{%s}' % b",".join(b'"%d":1' % number for number in range(TAGS_MAX + 1))),
        "too_many_tags",
        "$.tags",
    ),
    "an id that is no UUID": (DECISION.replace(b"01990000-0000-7000", b"01990000-0000_7000"), "not_a_uuid", "$.decision_id"),
    "an id of 36 other characters": (OUTCOME.replace(b"01990000-0000-7000-8000-000000000001", b"g" * 36), "not_a_uuid", "$.decision_id"),
    "an id that is short": (DECISION.replace(b"01990000-0000-7000", b"1990000-0000-7000"), "invalid", "$.decision_id"),
    "one level too deep": (nested(DEPTH_MAX + 1), "too_deep", None),
    "a hundred thousand levels": (with_more(b'"args":' + b"[" * 100_000 + b"]" * 100_000), "too_deep", None),
    "a hundred thousand levels, not closed": (b'{"a":' * 100_000, "too_deep", None),
    "too long a line": (b"x" * (LINE_BYTES_MAX + 1), "line_too_long", "$"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_rejected_says_code_path_and_reason(name: str) -> None:
    line, code, path = REJECTED[name]
    flaw = flaw_of(line)
    assert flaw is not None
    assert (flaw.code, flaw.path if path else None) == (code, path)
    assert flaw.reason


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_rejected_does_not_pass_in_good_company(name: str) -> None:
    line = REJECTED[name][0]
    assert admit_fine(DECISION + b"\n" + line + b"\n" + DECISION + b"\n") is None
    admission = admit_line_by_line(DECISION + b"\n" + line + b"\n" + DECISION + b"\n")
    assert [rejected.line for rejected in admission.rejected] == [1]


TAKEN = {
    "arguments that are null": with_more(b'"args":null'),
    "a whole character in two escapes": with_more(b'"args":{"\\ud83d\\ude00":"\\ud83d\\ude00"}'),
    "a number of 65 bits": with_more(b'"args":{"a":9223372036854775809}'),
    "the same name in two objects": with_more(b'"args":{"a":{"b":1},"c":{"b":2},"b":[{"a":1},{"a":2}]}'),
    "brackets in text": with_more(b'"args":{"a":"%s"}' % (b"[{" * 100)),
    "an escaped quote before a bracket": with_more(b'"args":{"a":"\\"%s"}' % (b"[{" * 100)),
    "the first moment of 2000": OUTCOME.replace(b"%d" % STARTED_AT, b"%d" % OCCURRED_AT_MIN),
    "the deepest line": nested(DEPTH_MAX),
    "the most tags": with_more(b'"tags":{%s}' % b",".join(b'"%d":1' % number for number in range(TAGS_MAX))),
    "an id in capitals": DECISION.replace(b"01990000-0000-7000-8000-000000000001", b"01990000-0000-7000-8000-00000000000A"),
    "the longest line": with_more(b'"args":{"a":"%s"}' % (b"x" * (LINE_BYTES_MAX - len(with_more(b'"args":{"a":""}'))))),
    "a null byte, escaped": with_more(b'"args":{"a":"\\u0000"}'),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_unusual_but_clear_is_taken(name: str) -> None:
    assert flaw_of(TAKEN[name]) is None
    assert admit_line_by_line(TAKEN[name]).rejected == ()


def test_an_unknown_field_comes_with_the_one_that_may_be_meant() -> None:
    flaw = flaw_of(with_more(b'"sesion_id":"x"'))
    assert flaw is not None
    assert flaw.reason == "unknown field `sesion_id`; did you mean `session_id`?"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (REJECTED["a time in seconds"][0], "expected microseconds since 1970 UTC, this looks like seconds"),
        (REJECTED["a time in milliseconds"][0], "expected microseconds since 1970 UTC, this looks like milliseconds"),
        (REJECTED["no mode"][0], "expected one of `enforce`, `log-only`, `off`"),
        (OUTCOME.replace(b'"ok"', b'"done"'), "expected one of `ok`, `error`, `denied`, `cancelled`"),
        (LOSS.replace(b"spool_full", b"full"), "expected one of `spool_full`, `disk_full`, `torn`, `unencodable`"),
        (with_more(b'"verdict":"maybe"').replace(b'"verdict":"allow",', b""), "expected one of `allow`, `deny`, `warn`, `audit`"),
    ],
)
def test_a_reason_names_what_would_be_taken(line: bytes, reason: str) -> None:
    flaw = flaw_of(line)
    assert flaw is not None
    assert flaw.reason.endswith(reason)


def test_a_reason_is_a_sentence_even_where_the_line_is_endless() -> None:
    [rejected] = admit_line_by_line(with_more(b'"mode":"%s"' % (b"x" * 100_000))).rejected
    assert len(rejected.reason) <= 512
