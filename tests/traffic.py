"""Traffic as producers and gateways make it when all goes wrong: batches sent twice, cut anew, out of order, with bad lines among them."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from msgspec import Raw

from controlzero.batch import Batch, compress_lines, encode_batch
from controlzero.records import Decision, Loss, Outcome, Record, Rejected, encode_record
from processors.testing import RECEIVED_AT
from topics.declarations import DECISIONS
from topics.log import Log, NewMessage
from warehouse.snapshot import Warehouse

PRODUCERS = ("one", "two", "three", "four")
PROJECTS = ("shop", "bank")


def messages(seed: int, count: int, *, records_max: int = 6) -> Iterator[NewMessage]:
    """Yield messages of several producers, each numbering its records, as a log is given them."""
    random = Random(seed)
    reached: dict[tuple[str, str], int] = {}
    sent: list[NewMessage] = []
    for number in range(count):
        chance = random.random()
        if sent and chance < 0.15:  # a 202 that was lost: sent again, whole
            yield random.choice(sent[-8:])
            continue
        who = (random.choice(PROJECTS), random.choice(PRODUCERS))
        first = reached.get(who, 0)
        if chance < 0.25:  # cut anew: overlaps what came
            first = max(0, first - random.randrange(1, 5))
        elif chance < 0.30:  # something in between did not come, or comes later
            first += random.randrange(1, 4)
        lines = [_line(who, seq, another=0.15 < chance < 0.18) for seq in range(first, first + random.randrange(0, records_max))]
        reached[who] = max(reached.get(who, 0), first + len(lines))
        message = _message(random, who, first, lines, number, closed=0.90 < chance < 0.93)
        if chance > 0.995:
            message = (message[0], b"damaged", message[2])
        sent.append(message)
        yield message


def _message(random: Random, who: tuple[str, str], first: int, lines: Sequence[bytes], number: int, *, closed: bool) -> NewMessage:
    batch = Batch(
        project_id=who[0],
        producer_id=who[1],
        first_seq=first,
        count=len(lines),
        total=first + len(lines) + (random.randrange(3) if closed else 0),
        received_at=RECEIVED_AT + number * 1_000,
        value=compress_lines(b"".join(line + b"\n" for line in lines)),
        closed=closed,
        backfill=False,
    )
    return encode_batch(batch)


def _line(who: tuple[str, str], seq: int, *, another: bool) -> bytes:
    """Return the line a producer has under a number: always the same, unless it is `another` under a number already used."""
    own = Random(f"{who}/{seq}/{another}")
    decision_id = str(uuid.UUID(int=own.getrandbits(128), version=4))
    kind = own.random()
    if kind < 0.03:
        return b'{"kind":"decision","torn'
    return encode_record(_record(own, decision_id, kind, RECEIVED_AT + seq))


def _record(own: Random, decision_id: str, kind: float, occurred_at: int) -> Record:
    if kind < 0.06:
        return Rejected(code="bad_line", path="$", reason="it is none", length=3, sha256="0" * 64, bytes=b"bad")
    if kind < 0.08:
        return Loss(occurred_at=occurred_at, since_at=occurred_at - 5, count=own.randrange(1, 9), reason="spool_full")
    if kind < 0.25:
        return Outcome(decision_id=decision_id, occurred_at=occurred_at, carried_out=True, status="ok")
    return Decision(
        decision_id=decision_id,
        occurred_at=occurred_at,
        action=own.choice(("llm:generate", "shell:run")),
        mode="log-only",
        effect="allow",
        agent_id=own.choice(("a", "b")),
        args=Raw(own.choice((b'{"to":"ines@example.org"}', b'{"n":5}', b"null"))),
    )


def append_all(log: Log, many: Sequence[NewMessage]) -> None:
    """Append messages to the decisions topic, a few together."""
    for start in range(0, len(many), 16):
        log.append(DECISIONS.name, many[start : start + 16])


# What a ledger holds, kind by kind, in an order of its own: two ledgers of the same log answer alike.
QUESTIONS = {
    "decisions": "SELECT * FROM decisions ORDER BY log_partition, log_offset, seq",
    "outcomes": "SELECT * FROM outcomes ORDER BY log_partition, log_offset, seq",
    "findings": "SELECT * FROM findings ORDER BY finding_id",
    "quarantine": "SELECT * FROM quarantine ORDER BY quarantine_id",
    "tallies": "SELECT * FROM tallies ORDER BY log_partition, log_offset",
    "rollups": (  # each landing has rows of its own for a minute: it is their sum that is the same
        "SELECT * EXCLUDE (decisions, with_findings), sum(decisions)::BIGINT AS decisions, sum(with_findings)::BIGINT AS with_findings"
        " FROM rollup_minute GROUP BY ALL ORDER BY ALL"
    ),
}


def contents(ledger: Path) -> dict[str, list[dict[str, object]]]:
    """Return all that a ledger holds."""
    warehouse = Warehouse.open(ledger)
    try:
        session = warehouse.session(None)
        return {kind: session.sql(question, {}).to_pylist() for kind, question in QUESTIONS.items()}
    finally:
        warehouse.close()


def assert_conserved(held: dict[str, list[dict[str, object]]], log: Log) -> None:
    """Every message of the log has one tally, every tally balances, and what it counts is there: each number landed once."""
    ends = [log.bounds(DECISIONS.name, partition).end for partition in range(DECISIONS.partitions)]
    tallies = held["tallies"]
    assert [(tally["log_partition"], tally["log_offset"]) for tally in tallies] == [
        (partition, offset) for partition, end in enumerate(ends) for offset in range(end)
    ]
    for tally in tallies:
        assert tally["received"] == tally["landed"] + tally["duplicate"] + tally["quarantined"]  # type: ignore[operator]
    for kind, counted in (("decisions", "decisions"), ("outcomes", "outcomes")):
        assert len(held[kind]) == sum(int(str(tally[counted])) for tally in tallies)
    numbers = [(row["project_id"], row["producer_id"], row["seq"]) for row in (*held["decisions"], *held["outcomes"])]
    assert len(numbers) == len(set(numbers))
    assert sum(int(str(row["decisions"])) for row in held["rollups"]) == len(held["decisions"])
