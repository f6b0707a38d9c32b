"""Finding personal data and secrets: ours against a loop of the same patterns in `re`, the RE2 set alone as the floor, and the worker's step."""

import gzip
import random
import re
import time
import uuid
from collections.abc import Callable, Sequence

import msgspec
import re2
from msgspec import Raw

from benchmarks.measure import Result, in_turn, median
from benchmarks.settings import SHARED
from controlzero.pii import find_many, might_hold
from controlzero.pii.patterns import DETECTORS
from controlzero.records import Decision
from processors.flow import Row
from processors.steps.inspect import inspect
from processors.testing import a_place
from warehouse.columns import columns_of

TEXTS = 2_000
TEXT_CHARS = 700
COMMIT = 20_000  # decisions of one commit on a backlog
SMALL = b'{"query":"running shoes, wide","limit":10,"filters":{"status":"open","region":"eu-west","since":"2024-05-15T10:30:00Z"},"note":"order 4107812777, 2 pairs, size 10.5, v1.2.3 of the catalogue"}'
SENTENCE = "please check the order of last week and tell the customer when it ships because the parcel was late again"
LOOKALIKES = (
    "2024-05-15 10:30:00",
    "v1.12.3",
    "order 4107812777",
    "$1,249.00",
    "id 7f3a-99",
    "std::map",
    "1715769000123",
    "user@host",
    "3.14159",
)
VALUES = ("bob.miller@example.com", "+1 415 555 0132", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "536-90-4399", "81.2.69.142")


def run(rounds: int) -> list[Result]:
    """Measure on the CPU's clock: megabytes per CPU-second of texts, and microseconds of a call and a decision."""
    clean, mixed = _texts(every=0), _texts(every=10)
    return [
        _against_re("texts with nothing in them", clean, rounds, bar=100),
        _against_re("texts, one in ten with a value", mixed, rounds),
        _against_the_floor(clean, rounds),
        Result(
            name="might_hold, 200 bytes of arguments",
            ours=median(lambda: _cpu_s(lambda: _repeat(20_000)) / 20_000 * 1e6, rounds),
            unit="µs",
            higher_is_better=False,
            bar=1.5,
        ),
        *_traces(rounds),
    ]


def _texts(*, every: int) -> list[str]:
    dice = random.Random(7)
    texts = []
    for place in range(TEXTS):
        words: list[str] = []
        while sum(map(len, words)) < TEXT_CHARS:
            words.append(dice.choice(LOOKALIKES) if dice.random() < 0.08 else dice.choice(SENTENCE.split()))
        if every and place % every == 0:
            words.insert(len(words) // 2, dice.choice(VALUES))
        texts.append(" ".join(words))
    return texts


def _against_re(name: str, texts: Sequence[str], rounds: int, bar: float | None = None) -> Result:
    patterns = [re.compile(re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: re.escape(chr(int(found[1], 16))), d.pattern)) for d in DETECTORS]
    sample = texts[::20]  # the loop is slow enough

    def loop() -> float:
        return _megabytes(sample) / _cpu_s(lambda: [[m.span() for p in patterns for m in p.finditer(text)] for text in sample])

    ours, plain = in_turn(lambda: _megabytes(texts) / _cpu_s(lambda: find_many(texts)), loop, rounds)
    result = Result(name=name, ours=ours, reference=plain, unit="MB/CPU-s", bar=bar, note="reference: the same patterns in re, unchecked")
    return result if bar is not None else msgspec.structs.replace(result, ratio=ours / plain)


def _against_the_floor(texts: Sequence[str], rounds: int) -> Result:
    patterns = re2.Set.SearchSet()
    for detector in DETECTORS:
        patterns.Add(detector.pattern)
    patterns.Compile()
    encoded = [text.encode() for text in texts]
    ours, floor = in_turn(
        lambda: _megabytes(texts) / _cpu_s(lambda: find_many(texts)),
        lambda: _megabytes(texts) / _cpu_s(lambda: [patterns.Match(text) for text in encoded]),
        rounds,
    )
    return Result(
        name="the floor: the RE2 set alone", ours=ours, reference=floor, ratio=ours / floor, unit="MB/CPU-s", note="says which, not where"
    )


def _traces(rounds: int) -> list[Result]:
    """The worker's step over recorded traffic, a third of whose texts hold e-mails; nothing where there is none."""
    rows = [Row(decision, seq, a_place()) for seq, decision in enumerate(_recorded())]
    if not rows:
        return []

    parts = [rows[first : first + COMMIT] for first in range(0, len(rows), COMMIT)]
    commits = [(part, columns_of(Decision, [row.decision for row in part])) for part in parts]

    def step() -> float:
        return _cpu_s(lambda: [inspect(part, columns, lambda _: b"k" * 32) for part, columns in commits]) / len(rows)

    return [
        Result(
            name="inspect, recorded traffic", ours=median(lambda: step() * 1e6, rounds), unit="µs/decision", higher_is_better=False, bar=7
        )
    ]


def _recorded() -> list[Decision]:
    decisions = []
    for path in sorted((SHARED / "traces" / "dev").glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            for line in map(msgspec.json.decode, lines):
                decisions.append(
                    Decision(
                        decision_id=str(uuid.UUID(int=len(decisions))),
                        occurred_at=0,
                        action=line["tool"],
                        mode="log-only",
                        effect="allow",
                        agent_id=line["agent_id"],
                        user_id=line["user_id"],
                        session_id=line["session_id"],
                        args=Raw(msgspec.json.encode(line["arguments"])),
                        text=line.get("text"),
                    )
                )
    return decisions


def _megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def _repeat(times: int) -> None:
    for _ in range(times):
        might_hold(SMALL)


def _cpu_s(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
