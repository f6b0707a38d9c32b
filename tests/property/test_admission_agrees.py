"""Admission over generated lines: the fast way, the slow way and every reader of JSON say the same of a line."""

import hashlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.records import AGENT_RECORDS, Loss, Outcome, Record, Rejected, encode_record
from controlzero.testing import STARTED_AT, a_decision
from ingest.admission import Admission, admit_line_by_line, flaw_of
from ingest.intake import admit_fine
from ingest.structure import depth, find_flaw

_decode = msgspec.json.Decoder(Record).decode
_decode_agents = msgspec.json.Decoder(AGENT_RECORDS).decode

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=20
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=5)
ids = st.uuids().map(str)


def raw(value: object, *, ascii_only: bool, spaced: bool) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, ensure_ascii=ascii_only, separators=None if spaced else (",", ":")).encode())


@st.composite
def decisions(draw: st.DrawFn) -> bytes:
    how = {"ascii_only": draw(st.booleans()), "spaced": draw(st.booleans())}
    changes: dict[str, Any] = {
        "decision_id": draw(ids),
        "args": raw(draw(objects), **how),
        "agent_id": draw(st.none() | st.text(max_size=20)),
    }
    if draw(st.booleans()):
        changes["tags"] = raw(draw(st.dictionaries(st.text(max_size=4), scalars, max_size=3)), **how)
    return encode_record(a_decision(**changes))


outcomes = st.builds(
    lambda decision_id, latency: encode_record(
        Outcome(decision_id=decision_id, occurred_at=STARTED_AT, carried_out=True, status="ok", latency_ms=latency)
    ),
    ids,
    st.none() | st.floats(0, allow_infinity=False, allow_nan=False),
)
losses = st.builds(
    lambda count: encode_record(Loss(occurred_at=STARTED_AT, since_at=0, count=count, reason="torn")), st.integers(0, 2**63 - 1)
)
fine = decisions() | outcomes | losses


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A fine line with something cut out, doubled or put in: mostly no record, sometimes one still."""
    line = draw(fine)
    begin = draw(st.integers(0, len(line) - 1))
    end = draw(st.integers(begin, min(len(line), begin + 12)))
    put_in = draw(
        st.sampled_from([b"", line[begin:end] * 2, b'"a":1,', b"\xff", b"\\ud800", b"{", b"]", b'"', b"1e999", b"NaN", b",", b" "])
        | st.binary(max_size=3)
    )
    return (line[:begin] + put_in + line[end:]).replace(b"\n", b" ")


lines_of_any_kind = st.lists(fine | spoiled() | st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8)


@given(st.lists(fine, min_size=1, max_size=8))
def test_fine_lines_are_taken_whoever_wrote_them(lines: list[bytes]) -> None:
    body = b"\n".join(lines) + b"\n"
    assert admit_line_by_line(body) == Admission(lines=body, count=len(lines))


@settings(max_examples=400)
@given(lines_of_any_kind)
def test_the_fast_way_takes_nothing_that_the_slow_way_does_not(lines: list[bytes]) -> None:
    body = b"".join(line + b"\n" for line in lines)
    admitted = admit_fine(body)
    if admitted is not None:
        assert admit_line_by_line(body) == admitted
        for line in lines:
            if line.strip():
                assert find_flaw(line) is None


@settings(max_examples=400)
@given(lines_of_any_kind)
def test_each_line_keeps_its_number_and_its_answer_whatever_its_neighbours_are(lines: list[bytes]) -> None:
    admission = admit_line_by_line(b"\n".join(lines))
    sent = [line.removesuffix(b"\r") for line in lines]
    sent = [line for line in sent if line.strip()]
    assert admission.count == len(sent)
    why = {rejected.line: rejected for rejected in admission.rejected}
    held = admission.lines.split(b"\n")[:-1]
    assert len(held) == len(sent)
    for number, (line, kept) in enumerate(zip(sent, held, strict=True)):
        flaw = flaw_of(line)
        if flaw is None:
            assert number not in why
            assert kept == line
        else:
            assert (why[number].code, why[number].path) == (flaw.code, flaw.path)
            record = _decode(kept)
            assert isinstance(record, Rejected)
            assert (record.bytes, record.length, record.sha256) == (line, len(line), hashlib.sha256(line).hexdigest())


def first_of_two(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@settings(max_examples=400)
@given(spoiled() | fine)
def test_what_is_taken_is_read_alike_by_every_reader(line: bytes) -> None:
    if line.strip() and flaw_of(line) is None:
        last_wins, first_wins = json.loads(line), json.loads(line, object_pairs_hook=first_of_two)
        assert last_wins == first_wins
        assert line.decode().encode("utf-16")
        assert json.dumps(last_wins, allow_nan=False).encode("ascii")
        assert depth(line) <= 64
        assert _decode_agents(line)
