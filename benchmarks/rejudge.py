"""Judging landed decisions again: 10 million rows by 50 rules, 4 % of their facts distinct, against one by one."""

import statistics
import tempfile
import time
from collections import Counter

import duckdb

from benchmarks.measure import Result, median, seconds
from controlzero.policy import CompiledPolicy, parse, request_for_enforce
from controlzero.policy.evaluate import compile_policies
from processors.judging import rejudge

ROWS = 10_000_000
FACTS = 400_000  # 4 %
THREADS = 2
ONE_BY_ONE_ROWS = 50_000  # of which the rate one by one is measured, and every verdict compared
BAR_ROWS_PER_S = 5_000_000
_VERBS = ("read", "write", "call", "query")

# Every column of a landed decision that judging may read. The facts are dealt evenly and stand in no order.
_LANDED = f"""
COPY (
  SELECT
    i AS seq, 'tool' || fact % 20 || ':' || (['read', 'write', 'call', 'query'])[fact % 4 + 1] AS action, NULL::VARCHAR AS action_raw,
    'project/p' || fact % 625 || '/doc' || fact % 16 AS resource, true AS resource_claimed,
    'team-' || fact % 8 || '-agent-' || fact // 10000 AS agent_id, NULL::VARCHAR AS user_id,
    NULL::VARCHAR AS user_group, 'session-' || i // 40 AS session_id, NULL::VARCHAR AS tags,
    '{{"note": "what the agent was about to do, in some words, the ' || i || 'th time", "limit": 100}}' AS args,
    []::STRUCT(path VARCHAR, type VARCHAR)[] AS redactions, NULL::VARCHAR AS facts, 'matched_rule' AS reason_code,
    'matched_rule' AS judged_reason_code, 'digest' AS bundle_digest, 'digest' AS judged_bundle_digest
  FROM (SELECT i, (hash(i) % {FACTS})::BIGINT AS fact FROM range({ROWS}) AS numbers(i))
) TO '{{folder}}' (FORMAT parquet, COMPRESSION zstd, PER_THREAD_OUTPUT)
"""


def run(rounds: int) -> list[Result]:
    """Measure; the figure is rows judged a second, each row's verdict joined back and counted."""
    compiled = compile_policies(parse({"name": "candidate", "rules": _rules()}))
    with tempfile.TemporaryDirectory(prefix="cz-rejudge-") as folder, duckdb.connect(config={"threads": THREADS}) as connection:
        landed = f"{folder}/landed"
        connection.execute(_LANDED.replace("{folder}", landed))
        relation = f"(SELECT * FROM read_parquet('{landed}/*.parquet'))"
        alone, facts = _agrees(connection, relation, compiled)
        used: list[float] = []

        def once() -> float:
            started = time.process_time()
            took = seconds(lambda: _judged(connection, relation, compiled))
            used.append(time.process_time() - started)
            return took

        took = median(once, rounds)
    note = (
        f"{FACTS:,} distinct facts, {facts:,} that some rule tells apart; {ROWS / statistics.median(used):,.0f} rows per CPU-second; "
        f"one by one {alone:,.0f} rows/s, same verdicts on {ONE_BY_ONE_ROWS:,} compared"
    )
    return [Result(name="rejudge 10M rows, 50 rules", ours=ROWS / took, bar=BAR_ROWS_PER_S, unit="rows/s", note=note)]


def _rules() -> list[dict[str, object]]:
    """50 rules over the actions of the data: by action, resource and agent, the last for all that is left."""
    rules: list[dict[str, object]] = []
    for place in range(48):
        action = f"tool{place % 20}:{_VERBS[place % 4] if place % 3 else '*'}"
        rule: dict[str, object] = {"effect": ("deny", "allow", "warn", "allow")[place % 4], "action": action}
        if place % 2:
            rule["resource"] = f"project/p{place}*"
        if place % 5 < 3:
            rule["conditions"] = {"agent_id": f"team-{place % 8}-*"}
        rules.append(rule)
    return [*rules, {"effect": "deny", "action": "*:write", "resource": "*/doc7"}, {"effect": "allow", "action": "tool*"}]


def _judged(connection: duckdb.DuckDBPyConnection, relation: str, compiled: CompiledPolicy) -> dict[tuple[str, int | None], int]:
    found = rejudge(connection, relation, compiled)
    counted = connection.execute(f"SELECT rejudged_verdict, rejudged_rule, count(*) FROM ({found.sql}) GROUP BY ALL").fetchall()
    return {(verdict, rule): rows for verdict, rule, rows in counted}


def _agrees(connection: duckdb.DuckDBPyConnection, relation: str, compiled: CompiledPolicy) -> tuple[float, int]:
    """Compare a sample row by row; return the rate of judging one by one, and how many facts were judged."""
    found = rejudge(connection, relation, compiled)
    some = (
        f"SELECT action, resource, agent_id, rejudged_verdict, rejudged_rule FROM ({found.sql}) WHERE seq % {ROWS // ONE_BY_ONE_ROWS} = 0"
    )
    rows = connection.execute(some).fetchall()
    said: list[tuple[str, int | None]] = []

    def one_by_one() -> None:
        for action, resource, agent_id, _, _ in rows:
            judgement = compiled.judge(request_for_enforce(action, resource=resource, context={"agent_id": agent_id}))
            said.append((judgement.verdict, None if judgement.rule is None else judgement.rule + 1))

    took = seconds(one_by_one)
    assert said == [(verdict, rule) for *_, verdict, rule in rows]
    assert len(rows) == ONE_BY_ONE_ROWS
    assert len(Counter(said)) > 20  # many rules decide, or this measures nothing
    return len(rows) / took, found.facts
