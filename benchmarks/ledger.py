"""A ledger of ten million believable decisions, landed and merged as in production, made once and kept in bench-output/."""

import json
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.columns import rows_table, table_of
from warehouse.compaction import Compactor
from warehouse.kinds import Kind, Tally
from warehouse.lander import Lander, Landing, app_id
from warehouse.schema import ID

PROJECT = "bench"
DECISIONS = 10_000_000
DAYS = 14
DAY_US = 86_400_000_000
END_US = 1_795_132_800_000_000  # 2026-11-20T00:00:00Z
BATCH = 500  # decisions of a message
LANDING = 40 * BATCH
MERGE_EVERY = 40  # landings
TAIL = 40  # landings of one message each, not merged yet: as a page finds the ledger between two passes of the keeper
AGENTS, ACTIONS, RESOURCES, USERS = 24, 10, 6, 400
RULES = 30
DIGEST, CANDIDATE = "a" * 64, "b" * 64
APP_ID = app_id("bench", "decisions", 0)
MAC = "0" * 32


def bench_ledger(folder: Path, decisions: int = DECISIONS) -> Path:
    """Return the ledger under `folder`, making it where it is not there whole."""
    ledger = folder / f"ledger-{decisions}"
    done = folder / f"ledger-{decisions}.done"
    if not done.exists():
        _make(ledger, decisions)
        done.touch()
    return ledger


def _make(ledger: Path, decisions: int) -> None:
    lander = Lander(ledger, clock=lambda: END_US, new_id=lambda: uuid.uuid4().hex)
    compactor = Compactor(ledger, clock=lambda: END_US, new_id=lambda: uuid.uuid4().hex)
    world = _World(decisions)
    landed = lander.landed([APP_ID]).get(APP_ID, 0) * BATCH
    merged = decisions - TAIL * BATCH
    for number, start in enumerate(range(landed, merged, LANDING)):
        lander.land(world.landing(start, min(LANDING, merged - start)))
        if number % MERGE_EVERY == MERGE_EVERY - 1:
            compactor.compact()
    compactor.compact()
    for start in range(max(landed, merged), decisions, BATCH):
        lander.land(world.landing(start, BATCH))


class _World:
    """Who does what: each agent has its habits, and a rule decides what an agent does to a resource."""

    def __init__(self, decisions: int) -> None:
        self._step_us = DAYS * DAY_US // decisions
        self._random = np.random.default_rng(7)
        self._agents = pa.array([f"{role}-agent-{i}" for i in range(AGENTS // 4) for role in ("support", "trading", "care", "build")])
        tools = [("llm", "generate"), ("database", "query"), ("vectorstore", "read"), ("email", "send"), ("shell", "run"),
                 ("crm", "lookup"), ("trade", "execute"), ("files", "read"), ("browser", "open"), ("report", "generate")]  # fmt: skip
        self._actions = pa.array([f"{tool}:{method}" for tool, method in tools])
        self._tools, self._methods = pa.array([tool for tool, _ in tools]), pa.array([method for _, method in tools])
        self._resources = pa.array([f"{tool}/thing-{i}" for tool, _ in tools for i in range(RESOURCES)])
        self._rules = pa.array([f"rule-{i}" for i in range(RULES)])
        self._verdicts = pa.array(["deny" if i % 7 == 0 else "warn" if i % 11 == 0 else "allow" for i in range(RULES)])
        self._candidates = pa.array(
            [
                json.dumps({CANDIDATE: {"verdict": "deny" if i % 5 == 0 else "allow", "rule_id": f"new-{i}", "rule": i}})
                for i in range(RULES)
            ]
        )
        prompts = [f'{{"prompt": "Answer customer {i} politely about order {i * 7}", "limit": {i % 100}}}' for i in range(5_000)]
        self._args = pa.array(prompts)
        self._users = pa.array([f"user-{i}" for i in range(USERS)])

    def landing(self, start: int, rows: int) -> Landing:
        """Return the landing of `rows` decisions from number `start` on."""
        return Landing(tables=self._tables(start, rows), offsets={APP_ID: (start // BATCH, (start + rows) // BATCH)})

    def _tables(self, start: int, rows: int) -> dict[Kind, pa.Table]:
        random = self._random
        numbers = start + np.arange(rows, dtype=np.int64)
        occurred = END_US - DAYS * DAY_US + numbers * self._step_us + random.integers(0, self._step_us, rows)
        received = occurred + random.integers(20_000, 400_000, rows)
        agent = (random.zipf(1.6, rows) - 1) % AGENTS
        action = (agent * 3 + (random.zipf(1.8, rows) - 1) % 4) % ACTIONS
        resource = action * RESOURCES + (random.zipf(2.0, rows) - 1) % RESOURCES
        rule = (agent * 31 + resource * 17) % RULES
        ids = _ids(occurred // 1000, random)
        offsets = numbers // BATCH
        times = {"occurred_at": _times(occurred), "received_at": _times(received)}
        placed = {
            "project_id": pa.scalar(PROJECT), "producer_id": pa.scalar("producer"), "seq": pa.array(numbers),
            "log_partition": pa.scalar(0), "log_offset": pa.array(offsets), "backfill": _none(rows),
        }  # fmt: skip
        decided = {
            "decision_id": ids, "mode": pa.scalar("log-only"), "effect": pa.scalar("allow"), "reason_code": pa.scalar("matched_rule"),
            "verdict": self._verdicts.take(rule), "environment": pa.scalar("production"), "agent_id": self._agents.take(agent),
            "user_id": self._users.take(random.integers(0, USERS, rows)), "session_id": _sessions(agent, occurred),
            "action": self._actions.take(action), "tool": self._tools.take(action), "method": self._methods.take(action),
            "resource": self._resources.take(resource), "resource_claimed": _none(rows),
            "args": self._args.take(random.integers(0, len(self._args), rows)), "args_digest": _random_ids(rows, random),
            "policy_id": pa.scalar("production"), "rule_id": self._rules.take(rule), "reason": pa.scalar("Decided by its rule."),
            "bundle_digest": pa.scalar(DIGEST), "evaluated_rules": pa.array(rule + 1), "evaluation_time_ns": pa.array(random.integers(9_000, 90_000, rows)),
            "sdk": pa.scalar("controlzero-python/0.1.0"), "redactions": [()] * rows,
            "judged_verdict": self._verdicts.take(rule), "judged_mode": pa.scalar("log-only"), "judged_reason_code": pa.scalar("matched_rule"),
            "judged_policy_id": pa.scalar("production"), "judged_rule_id": self._rules.take(rule), "judged_rule": pa.array(rule + 1),
            "judged_bundle_digest": pa.scalar(DIGEST), "candidates": self._candidates.take(rule),
            "drift_kinds": [()] * rows, "finding_types": [("email",) if hit else () for hit in (random.random(rows) < 0.03)],
        }  # fmt: skip
        absent = ("user_group", "trace_id", "span_id", "tags", "action_raw", "text", "facts", "not_replayable_key")
        nothing = {name: pa.scalar(None) for name in absent}
        decision = table_of("decision", {**placed, **times, **decided, **nothing})
        return {
            "decision": decision,
            "outcome": _outcomes(decision, placed, times, rows, random),
            "finding": _findings(decision, random),
            "tally": rows_table("tally", [_tally(offset, int(received[0])) for offset in range(int(offsets[0]), int(offsets[-1]) + 1)]),
        }


def _outcomes(
    decision: pa.Table, placed: dict[str, object], times: dict[str, pa.Array], rows: int, random: np.random.Generator
) -> pa.Table:
    outcomes = table_of(
        "outcome",
        {
            **placed, **times, "decision_id": decision["decision_id"], "carried_out": _all(rows), "status": pa.scalar("ok"),
            "error_class": pa.scalar(None), "latency_ms": pa.array(random.gamma(2.0, 300.0, rows)), "input_tokens": pa.array(random.integers(50, 4_000, rows)),
            "output_tokens": pa.array(random.integers(10, 900, rows)), "cost_usd": pa.array(random.random(rows) / 100), "denial_unread": _none(rows),
        },
    )  # fmt: skip
    return outcomes.filter(pa.array(random.random(rows) < 0.9))


def _findings(decision: pa.Table, random: np.random.Generator) -> pa.Table:
    found = decision.filter(pa.array([bool(types) for types in decision["finding_types"].to_pylist()]))
    rows = found.num_rows
    same = {
        name: found[name]
        for name in (
            "project_id",
            "received_at",
            "occurred_at",
            "decision_id",
            "producer_id",
            "agent_id",
            "action",
            "log_partition",
            "log_offset",
        )
    }
    said = {
        "finding_id": _random_ids(rows, random), "type": pa.scalar("pii"), "detail": pa.scalar("email"), "severity": pa.scalar("warning"),
        "path": pa.scalar("args.prompt"), "count": pa.array(np.ones(rows, np.int64)), "message": pa.scalar("An e-mail address in args.prompt."),
        "backfill": _none(rows),
    }  # fmt: skip
    nothing = {name: pa.scalar(None) for name in ("fingerprint", "first_seq", "last_seq", "since_at")}
    return table_of("finding", {**same, **said, **nothing})


def _tally(offset: int, received_at: int) -> Tally:
    return Tally(
        project_id=PROJECT, producer_id="producer", received_at=received_at, log_id="bench", log_partition=0, log_offset=offset,
        first_seq=offset * BATCH, count=BATCH, received=BATCH, landed=BATCH, duplicate=0, quarantined=0, decisions=BATCH, outcomes=0, losses=0,
        lost=0, total=(offset + 1) * BATCH, closed=False, backfill=False, ids_digest=MAC, occurred_min_at=received_at, occurred_max_at=received_at,
    )  # fmt: skip


def _ids(millis: np.ndarray, random: np.random.Generator) -> pa.Array:
    """Return UUIDs of version 7, whose first 48 bits are the time."""
    ids = np.frombuffer(random.bytes(16 * len(millis)), np.uint8).reshape(-1, 16).copy()
    ids[:, :6] = millis.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x70
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return pa.FixedSizeBinaryArray.from_buffers(ID, len(millis), [None, pa.py_buffer(ids.tobytes())])


def _random_ids(rows: int, random: np.random.Generator) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(ID, rows, [None, pa.py_buffer(random.bytes(16 * rows))])


def _sessions(agent: np.ndarray, occurred: np.ndarray) -> pa.Array:
    """An agent's session lasts ten minutes."""
    numbers = agent * 10_000_000 + occurred // 600_000_000 % 10_000_000
    distinct, places = np.unique(numbers, return_inverse=True)
    return pa.array([f"session-{number:012d}" for number in distinct]).take(pa.array(places))


def _times(micros: np.ndarray) -> pa.Array:
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


def _none(rows: int) -> pa.Array:
    return pa.array(np.zeros(rows, bool))


def _all(rows: int) -> pa.Array:
    return pa.array(np.ones(rows, bool))
