"""Every page's questions of ten million decisions, beside DuckDB alone on the best file there could be for them.

The reference has each kind of record in one sorted file, with no other tenant to keep out and nothing still to be merged; what pages
ask of rollups it counts from the decisions themselves. Ours answers from its files as the keeper leaves them between two passes.
"""

import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import Struct

from benchmarks.ledger import CANDIDATE, DIGEST, END_US, PROJECT, bench_ledger
from benchmarks.measure import ROUNDS_MIN, Result
from warehouse.duck import connect, create_views, set_variables
from warehouse.snapshot import Session, Warehouse, query_text

OUTPUT = Path("bench-output")
FILTERS = files("warehouse") / "views" / "70-filters.sql"
RATIO_BAR, P95_BAR_MS = 1.3, 300.0
THREADS = 2
END = datetime.fromtimestamp(END_US / 1_000_000, UTC)
WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "14d": timedelta(days=14)}
BUCKETS = 72
PAGES: Mapping[str, tuple[str, ...]] = {
    "overview": (
        "any_decision", "freshness", "effects_total", "agents_total", "effects_over_time", "agents_over_time", "deny_groups",
        "findings_by_type", "decisions_page",
    ),
    "decisions": ("any_decision", "newest_since", "facets", "decisions_page"),
    "decisions, filtered": ("newest_since", "facets_of_decisions", "decisions_page"),
    "decision": ("decision", "decision_outcome", "session_neighbours", "decision_findings"),
    "rollout": ("effects_total", "mode_consequence", "denials_over_time", "denials_of_policy", "candidate_changes"),
    "policies": ("rule_hits",),
    "findings": ("findings_by_type", "findings_over_time", "finding_groups"),
    "compliance": ("effects_total", "carried_out", "agents", "in_force", "findings_by_type", "producers"),
    "pipeline": ("tally", "producers", "received_over_time", "gaps", "quarantine_by_reason", "quarantine_page"),
}  # fmt: skip
ORDERS = {
    "decisions": "agent_id, occurred_at", "outcomes": "decision_id", "findings": "type, occurred_at", "quarantine": "received_at",
    "tallies": "producer_id, first_seq",
}  # fmt: skip
WIDER = {  # what the reference's files hold beside the view's columns: to count by it, without computing it
    "decisions": """*, to_minute(occurred_at) AS occurred_minute, to_minute(received_at) AS received_minute, resource AS resource_label,
        1 AS decisions, (len(finding_types) > 0 OR len(drift_kinds) > 0)::INTEGER AS with_findings,
        nullif(array_to_string(list_concat(finding_types, drift_kinds), ' '), '') AS found""",
}
COUNTED = """
CREATE VIEW rollup_minute AS SELECT * REPLACE (shown_verdict AS verdict) FROM decisions;
CREATE VIEW rollup_detail AS SELECT * FROM rollup_minute;
CREATE MACRO rollup_between(from_at, until_at) AS TABLE
SELECT * FROM rollup_minute WHERE occurred_minute >= from_at AND occurred_minute < until_at;
"""
CHOSEN: Mapping[str, Mapping[str, object]] = {
    "decisions, filtered": {"agent": ["trading-agent-0"], "finding": ["email"], "standing": ["deny_logged"]},
    "rollout": {"candidate": CANDIDATE},
}


class Asked(Struct, frozen=True, kw_only=True):
    """A question of a page in a window, with how long both took, in milliseconds."""

    page: str
    window: str
    question: str
    ours_ms: float
    reference_ms: float


def run(rounds: int) -> list[Result]:
    """Measure all pages in all windows."""
    ledger = bench_ledger(OUTPUT).absolute()
    warehouse = Warehouse.open(ledger, threads=THREADS)
    with _ideal(warehouse, ledger.with_name(f"{ledger.name}-ideal")) as ideal:
        asked = list(_ask_all(warehouse.session(PROJECT), ideal, max(rounds, ROUNDS_MIN)))
    warehouse.close()
    return [*(_of_page(page, asked) for page in PAGES), _p95(asked)]


def _of_page(page: str, asked: list[Asked]) -> Result:
    """Return a page's figure: its slowest window, all of its questions one after the other."""
    of_windows = [[each for each in asked if (each.page, each.window) == (page, window)] for window in WINDOWS]
    slowest = max(of_windows, key=lambda each: sum(one.ours_ms for one in each))
    ours, reference = sum(each.ours_ms for each in slowest), sum(each.reference_ms for each in slowest)
    longest = max(slowest, key=lambda each: each.ours_ms)
    note = f"{slowest[0].window}; longest {longest.question} {longest.ours_ms:.0f} ms"
    return Result(
        name=page, ours=ours, reference=reference, ratio=ours / reference, bar=RATIO_BAR, unit="ms", higher_is_better=False, note=note
    )


def _p95(asked: list[Asked]) -> Result:
    p95 = statistics.quantiles([each.ours_ms for each in asked], n=20)[-1]
    worst = ", ".join(f"{each.question} {each.window} {each.ours_ms:.0f} ms" for each in sorted(asked, key=lambda each: -each.ours_ms)[:3])
    return Result(name="p95 of all questions", ours=p95, bar=P95_BAR_MS, unit="ms", higher_is_better=False, note=f"longest: {worst}")


def _ask_all(session: Session, ideal: duckdb.DuckDBPyConnection, rounds: int) -> Iterable[Asked]:
    known = _known(session)
    for page, questions in PAGES.items():
        for window, length in WINDOWS.items():
            for question in questions:
                statement = query_text(question)
                values = {**known, **_window(length), **CHOSEN.get(page, {})}
                parameters = {name: values[name] for name in set(re.findall(r"\$(\w+)", statement))}
                ours, reference = _in_turn(
                    lambda: session.query(question, **parameters),  # noqa: B023  # called before the loop goes on
                    lambda: ideal.sql(statement, params=parameters).to_arrow_table(),  # noqa: B023
                    rounds,
                )
                yield Asked(page=page, window=window, question=question, ours_ms=ours, reference_ms=reference)


def _in_turn(ours: Callable[[], pa.Table], reference: Callable[[], pa.Table], rounds: int) -> tuple[float, float]:
    if ours().num_rows != reference().num_rows:
        raise AssertionError("both must answer the same")
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, figures in zip((ours, reference), took, strict=True):
            started = time.perf_counter()
            call()
            figures.append((time.perf_counter() - started) * 1000)
    return statistics.median(took[0]), statistics.median(took[1])


def _window(length: timedelta) -> dict[str, object]:
    from_at = END - length
    return {
        "from_at": from_at,
        "until_at": END,
        "before_at": from_at - length,
        "origin_us": END_US - length // timedelta(microseconds=1),
        "bucket_us": length // timedelta(microseconds=1) // BUCKETS,
    }


def _known(session: Session) -> dict[str, object]:
    """Return a value for every parameter but the window's: a decision in the middle, and no filter."""
    found = session.sql("SELECT decision_id, session_id, occurred_at AS at FROM decisions WHERE seq = 5000000", {}).to_pylist()[0]
    filters = ("standing", "mode", "agent", "action", "resource", "rule", "finding", "session", "bundles", "types", "agents")
    rest = {
        "q": "",
        "candidate": "",
        "change": "",
        "older_than_at": None,
        "older_than_id": None,
        "limit": 50,
        "enough": 50,
        "each_side": 10,
    }
    return {**{name: [] for name in filters}, **rest, **found, "digests": [DIGEST], "log_only_rules": []}


def _ideal(warehouse: Warehouse, folder: Path) -> duckdb.DuckDBPyConnection:
    """Return DuckDB over one file for each view, made once from what the views say."""
    folder.mkdir(exist_ok=True)
    ideal = connect([folder], threads=THREADS, memory_mb=2_048)
    for view, order in ORDERS.items():
        path = folder / f"{view}.parquet"
        if not path.exists():
            _write(warehouse, view, order, path)
        ideal.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet('{path}')")
    ideal.execute(COUNTED)
    ideal.execute(FILTERS.read_text(encoding="utf-8"))
    return ideal


def _write(warehouse: Warehouse, view: str, order: str, path: Path) -> None:
    variables = warehouse.variables(warehouse.snapshot(), PROJECT, None)
    empty = Path(str(variables["decision_files"][0])).parent  # type: ignore[index]
    spill = path.parent / "spill"
    with connect([path.parents[1], empty], threads=THREADS, memory_mb=4_096, spill=spill) as database:
        set_variables(database, {**variables, "project": PROJECT, "every_project": False, "evolved": False})
        create_views(database)
        database.execute(
            f"COPY (SELECT {WIDER.get(view, '*')} FROM {view} ORDER BY {order}) TO '{path}.part' (FORMAT parquet, COMPRESSION zstd)"
        )
    path.with_name(f"{path.name}.part").rename(path)
