"""Whatever a log holds (garbage, duplicates, conflicts, damage), the pipeline lands it in one piece and every message balances."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from controlzero.batch import compress_lines
from controlzero.policy import CompiledPolicy, parse
from processors.governance import Governance, Governed, InForce
from processors.pipeline import Environment, PipelineState, process
from processors.testing import RECEIVED_AT, LandedInMemory
from tests import traffic
from topics.log import Message, NewMessage
from warehouse.lander import Landing, check

POLICY = CompiledPolicy([parse({"name": "p", "rules": [{"effect": "deny", "action": "shell:*"}, {"effect": "allow", "action": "*"}]})])
GOVERNANCE = Governance(projects={"shop": Governed(mode="enforce", active=InForce("a" * 64, 0, POLICY))})

OUTCOME_OF_NO_ID = (
    b'{"kind":"outcome","decision_id":"00000000-0000-4000-8000-00000000000g","occurred_at":1,"carried_out":true,"status":"ok"}'
)
GARBAGE = [
    b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"kind":"decision"}', b'{"kind":"order"}', b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"kind":"decision","decision_id":"zzzzzzzz-0000-4000-8000-000000000000","occurred_at":1,"action":"a","mode":"off","effect":"allow"}',
    b'{"kind":"decision","decision_id":"00000000-0000-4000-8000-000000000000","occurred_at":1,"action":"a","mode":"off","effect":"allow","args":{"n":1e999}}',
    b'{"kind":"decision","decision_id":"00000000-0000-4000-8000-000000000000","occurred_at":1,"action":"a","mode":"off","effect":"allow","tags":[1]}',
    b'{"kind":"decision","decision_id":"00000000-0000-4000-8000-000000000000","occurred_at":1,"action":"a","mode":"off","effect":"allow","facts":"x"}',
    b'{"kind":"decision","decision_id":"00000000-0000-4000-8000-000000000000","occurred_at":1,"action":"\\u202ea","mode":"off","effect":"allow","args":[[[["x"]]]]}',
    OUTCOME_OF_NO_ID,
    b'{"kind":"loss","occurred_at":9223372036854775808,"since_at":0,"count":1,"reason":"torn"}',
]  # fmt: skip


class Log(Struct):
    """A log of one partition, as generated."""

    seed: int
    length: int
    garbage: list[tuple[int, list[bytes]]]


lines = st.lists(st.sampled_from(GARBAGE) | st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=4)
logs = st.builds(
    Log, seed=st.integers(0, 10_000), length=st.integers(1, 25), garbage=st.lists(st.tuples(st.integers(0, 24), lines), max_size=4)
)


def messages(log: Log) -> list[Message]:
    many: list[NewMessage] = list(traffic.messages(log.seed, log.length))
    for place, bad in log.garbage:
        key, _, headers = many[place % len(many)]
        many.insert(place % len(many), (key, compress_lines(b"".join(line + b"\n" for line in bad)), headers | {"count": str(len(bad))}))
    return [Message(partition=0, offset=offset, key=key, value=value, headers=headers) for offset, (key, value, headers) in enumerate(many)]


def run(many: list[Message], cuts: list[int]) -> list[Landing]:
    """Drive the pipeline over the messages, cut into calls."""
    landings, state, landed = [], PipelineState(offsets={0: 0}), LandedInMemory()
    environment = Environment(
        log_id="log", topic_id="topic", now=RECEIVED_AT, governance=GOVERNANCE, key_of=lambda _: b"k" * 32, landed=landed
    )
    for begin, end in pairwise(sorted({0, len(many), *(cut % (len(many) + 1) for cut in cuts)})):
        landing, state = process(many[begin:end], state, environment)
        landed.keep_landing(landing)
        landings.append(landing)
    return landings


def rows(landings: list[Landing], kind: str) -> list[dict[str, object]]:
    return [row for landing in landings if kind in landing.tables for row in landing.tables[kind].to_pylist()]


@settings(max_examples=60, deadline=None)
@given(logs, st.lists(st.integers(0, 30), max_size=4))
def test_every_message_of_any_log_has_one_tally_that_balances(log: Log, cuts: list[int]) -> None:
    many = messages(log)
    landings = run(many, cuts)
    for landing in landings:
        check(landing)
    tallies = rows(landings, "tally")
    assert [tally["log_offset"] for tally in tallies] == list(range(len(many)))
    for tally in tallies:
        assert tally["received"] == tally["landed"] + tally["duplicate"] + tally["quarantined"]
        assert tally["landed"] == tally["decisions"] + tally["outcomes"] + tally["losses"]
    for kind, counted in (("decision", "decisions"), ("outcome", "outcomes")):
        assert len(rows(landings, kind)) == sum(int(str(tally[counted])) for tally in tallies)
    lost = [row for row in rows(landings, "finding") if row["type"] == "loss"]
    assert len(lost) == sum(int(str(tally["losses"])) for tally in tallies)


@settings(max_examples=40, deadline=None)
@given(logs, st.lists(st.integers(0, 30), max_size=4))
@example(Log(seed=0, length=1, garbage=[(0, [OUTCOME_OF_NO_ID])] * 2), [1])  # what cannot be read comes again, with nothing else
def test_any_log_gives_the_same_rows_however_it_is_cut_into_calls(log: Log, cuts: list[int]) -> None:
    many = messages(log)
    at_once, in_pieces = run(many, []), run(many, cuts)
    for kind in ("decision", "outcome", "finding", "quarantine", "tally"):
        order = "finding_id" if kind == "finding" else "log_offset"
        assert sorted(rows(in_pieces, kind), key=lambda row: row[order]) == sorted(rows(at_once, kind), key=lambda row: row[order])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(GARBAGE[1:]), min_size=1, max_size=8))
def test_garbage_is_quarantined_with_its_bytes_and_a_reason_and_the_next_message_lands(bad: list[bytes]) -> None:
    many = messages(Log(seed=1, length=12, garbage=[(3, bad)]))
    landings = run(many, [])
    quarantined = [row for row in rows(landings, "quarantine") if row["log_offset"] == 3]
    assert all(row["reason"] and row["bytes"] in bad for row in quarantined)
    assert sum(1 for row in rows(landings, "decision") if row["log_offset"] > 3) > 0
