"""What landing costs: columns from records, Parquet, fsync and commit, by the size of the landing and the files already there."""

import statistics
import tempfile
import time
import uuid
from pathlib import Path
from random import Random

import pyarrow as pa
from msgspec import Raw, json

from benchmarks.measure import Result
from controlzero.records import Decision
from warehouse.columns import decisions_table
from warehouse.lander import Lander, Landing, app_id
from warehouse.snapshot import Warehouse

APP_ID = app_id("bench", "decisions", 0)
SIZES = (500, 1_000, 5_000)
LANDINGS = 40
BAR_US, BAR_COMMIT_MS, BAR_REFRESH_MS = 6.0, 15.0, 10.0
NOW_US = 1_795_000_000_000_000
LIVE_FILES = 256  # of each kind: what questions bear between two passes of the keeper


def run(rounds: int) -> list[Result]:  # noqa: ARG001  # many landings are many rounds
    """Measure CPU for each decision of a landing, and the time of a commit and of a reader's refresh among 256 files of a kind."""
    return [*map(_landings, SIZES), *_among_files()]


def _landings(rows: int) -> Result:
    decisions = _decisions(rows)
    with tempfile.TemporaryDirectory(prefix="cz-landing-") as folder:
        lander = _lander(Path(folder))
        took = []
        for offset in range(LANDINGS):
            started = time.process_time()
            lander.land(_landing(decisions, offset))
            took.append(time.process_time() - started)
    ours = statistics.median(took) / rows * 1e6
    return Result(name=f"build and land {rows:,} decisions", ours=ours, bar=BAR_US, unit="µs CPU each", higher_is_better=False)


def _among_files() -> list[Result]:
    decisions = _decisions(10)
    with tempfile.TemporaryDirectory(prefix="cz-landing-") as folder:
        lander = _lander(Path(folder))
        for offset in range(LIVE_FILES):
            lander.land(_landing(decisions, offset))
        warehouse = Warehouse.open(Path(folder) / "ledger")
        session = warehouse.session("bench")
        commits, refreshes, idle = [], [], []
        for offset in range(LIVE_FILES, LIVE_FILES + LANDINGS):
            landing = _landing(decisions, offset)
            commits.append(_took_ms(lambda: lander.land(landing)))  # noqa: B023  # called before the loop goes on
            refreshes.append(_took_ms(session.refresh))
            idle.append(_took_ms(session.refresh))
        warehouse.close()
    return [
        Result(
            name="land 10 decisions among 256 files", ours=statistics.median(commits), bar=BAR_COMMIT_MS, unit="ms", higher_is_better=False
        ),
        Result(name="see a new version", ours=statistics.median(refreshes), bar=BAR_REFRESH_MS, unit="ms", higher_is_better=False),
        Result(name="see that there is none", ours=statistics.median(idle), bar=BAR_REFRESH_MS, unit="ms", higher_is_better=False),
    ]


def _took_ms(call: object) -> float:
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return (time.perf_counter() - started) * 1000


def _lander(folder: Path) -> Lander:
    return Lander(folder / "ledger", clock=lambda: NOW_US, new_id=lambda: uuid.uuid4().hex)


def _landing(decisions: list[Decision], offset: int) -> Landing:
    rows = len(decisions)
    placed = {
        "project_id": ["bench"] * rows, "producer_id": ["producer"] * rows, "seq": list(range(rows)), "received_at": [NOW_US] * rows,
        "log_partition": [0] * rows, "log_offset": [offset] * rows, "backfill": [False] * rows,
    }  # fmt: skip
    judged = {
        "judged_verdict": [one.verdict for one in decisions], "judged_mode": pa.scalar("log-only"),
        "judged_rule_id": [one.rule_id for one in decisions], "judged_rule": [one.evaluated_rules for one in decisions],
    }  # fmt: skip
    return Landing(tables={"decision": decisions_table(decisions, placed=placed, judged=judged)}, offsets={APP_ID: (offset, offset + 1)})


def _decisions(rows: int) -> list[Decision]:
    random = Random(7)
    return [_decision(random, NOW_US + i * 1_000) for i in range(rows)]


def _decision(random: Random, at: int) -> Decision:
    tool, method = random.choice([("llm", "generate"), ("database", "query"), ("vectorstore", "read"), ("email", "send")])
    args = {"model": random.choice(["gpt-5.4", "mini"]), "prompt": f"Answer customer {random.randrange(10_000)} politely", "limit": 100}
    rule = random.randrange(30)
    return Decision(
        decision_id=str(uuid.UUID(int=(at // 1000 << 80) | (7 << 76) | (2 << 62) | random.getrandbits(62))),
        occurred_at=at, action=f"{tool}:{method}", mode="log-only", effect="allow", reason_code="matched_rule",
        verdict="deny" if rule % 7 == 0 else "allow", environment="production", agent_id=f"agent-{random.randrange(12)}",
        user_id=f"user-{random.randrange(200)}", session_id=f"session-{random.randrange(100)}", resource=f"model/{args['model']}",
        tool=tool, method=method, args=Raw(json.encode(args)), args_digest=f"{random.getrandbits(128):032x}",
        facts=Raw(json.encode({"args.model": args["model"]})), policy_id="production", rule_id=f"rule-{rule}", reason="Decided by its rule.",
        bundle_digest="a" * 64, evaluated_rules=rule + 1, evaluation_time_ns=random.randrange(9_000, 90_000), sdk="controlzero-python/0.1.0",
    )  # fmt: skip
