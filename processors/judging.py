"""Judge many landed decisions at once: what a bundle can tell of their facts, each once, joined back to all rows.

The evaluator is the one that agents and workers use. DuckDB numbers what occurs in each fact, counts the combinations and
joins the answers; it never judges. Texts that meet the same patterns have the same number, for no rule tells them apart.
Which columns and arguments are facts follows from what the bundle reads, so the SQL is made here and not kept in a file.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from msgspec import Raw, Struct

from controlzero.errors import Rejected
from controlzero.policy.evaluate import CompiledPolicy
from controlzero.policy.facts import request_of
from controlzero.policy.index import telling_apart
from controlzero.policy.request import MCP_SCHEME, NOTHING, Request, actions_of, is_malformed
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from processors.reading import HIDDEN, Reading, reading_of
from processors.steps.judge import judgement_of

BATCH_ROWS = 65_536  # combinations in memory as Python values at a time
NUMBER_BITS_MAX = 126  # of the number of a combination: seven facts of a quarter million values each
_IDENTITY = ("agent_id", "user_id", "user_group", "session_id")
_decode = msgspec.json.Decoder().decode
_ANSWERS = pa.schema(
    {
        "place": pa.int64(),
        "rejudged_verdict": pa.string(),
        "rejudged_rule": pa.int64(),
        "rejudged_policy_id": pa.string(),
        "rejudged_rule_id": pa.string(),
        "rejudged_not_replayable_key": pa.string(),
    }
)


class Rejudged(Struct, frozen=True, kw_only=True):
    """What `rejudge` found.

    `sql` selects each row of the relation with `rejudged_verdict`, `rejudged_rule` (the deciding rule's place, from 1),
    `rejudged_policy_id`, `rejudged_rule_id` and `rejudged_not_replayable_key`; it can be asked as long as the connection is
    open and its temporary tables, whose names begin with `answers`, are there. The table `answers` has a row for each of the
    `facts` that were judged, with how many `rows` of the relation it is the answer to.
    """

    sql: str
    answers: str
    facts: int
    rows: int


class Domain(Struct, frozen=True):
    """What occurs in one fact: the table `name` of its values with the `size` codes they have."""

    name: str
    fact: str
    joined: str  # to a row of the relation, `asked`
    size: int


def rejudge(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    compiled: CompiledPolicy,
    *,
    recorded_under: Mapping[str, CompiledPolicy] | None = None,
    answers: str = "rejudged",
) -> Rejudged:
    """Judge every row of a relation (a view, or a query in parentheses, with the columns of landed decisions) by a bundle.

    `recorded_under` are the bundles, by digest, that facts were noted under; without theirs, what was masked stays unknown.
    Temporary tables named `answers`, and with it as their prefix, are made. Raises `duckdb.Error` for a relation that cannot
    be read, `Rejected` for one with more combinations of facts than can be numbered.
    """
    reading = reading_of(connection, relation, compiled)
    domains = [_domain(connection, relation, reading, fact, compiled, f"{answers}_{fact}") for fact in reading.facts]
    number = _number(relation, domains)
    joined = "\n".join(domain.joined for domain in domains)
    codes = ", ".join(f"{domain.name}.code AS {domain.fact}" for domain in domains)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {answers}_asked AS
        SELECT row_number() OVER () AS place, * FROM (
          SELECT {number} AS number, {codes}, count(*) AS rows FROM {relation} AS asked {joined} GROUP BY ALL
        )""")  # noqa: S608
    said = _judged(connection, answers, domains, reading, compiled, recorded_under or {})
    connection.register(f"{answers}_said", said)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {answers} AS
        SELECT number, rows, said.* EXCLUDE (place) FROM {answers}_asked JOIN {answers}_said AS said USING (place)""")  # noqa: S608
    connection.unregister(f"{answers}_said")
    rows = connection.execute(f"SELECT coalesce(sum(rows), 0)::BIGINT FROM {answers}").fetchall()[0][0]  # noqa: S608
    sql = f"SELECT asked.*, {answers}.* EXCLUDE (number, rows) FROM {relation} AS asked {joined} JOIN {answers} ON {answers}.number = {number}"  # noqa: S608
    return Rejudged(sql=sql, answers=answers, facts=said.num_rows, rows=rows)


def _domain(
    connection: duckdb.DuckDBPyConnection, relation: str, reading: Reading, fact: str, compiled: CompiledPolicy, name: str
) -> Domain:
    """Number the values of a fact: those that no rule tells apart alike, each other one by itself."""
    expression = reading.facts[fact]
    key = fact.removeprefix("f_")
    if key != "resource" and key not in _IDENTITY:
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE {name} AS
            SELECT value, row_number() OVER () - 1 AS code FROM (SELECT DISTINCT {expression} AS value FROM {relation})""")  # noqa: S608
        size = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]  # noqa: S608
        return Domain(name, fact, f"JOIN {name} ON {name}.value IS NOT DISTINCT FROM {expression}", size)
    hidden = HIDDEN if reading.is_hidden else "false"
    found = connection.execute(f"SELECT DISTINCT {expression} AS value, {hidden} AS is_hidden FROM {relation}").fetchall()  # noqa: S608
    codes, size = _codes(key, found, compiled)
    values, are_hidden = ([row[column] for row in found] for column in (0, 1))
    numbered = {"value": pa.array(values, pa.string()), "is_hidden": pa.array(are_hidden, pa.bool_()), "code": pa.array(codes, pa.int64())}
    connection.register(f"{name}_values", pa.table(numbered))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {name}_values")  # noqa: S608
    connection.unregister(f"{name}_values")
    same = f" AND {name}.is_hidden = {hidden}" if reading.is_hidden else ""
    return Domain(name, fact, f"JOIN {name} ON {name}.value IS NOT DISTINCT FROM {expression}{same}", size)


def _codes(key: str, found: Sequence[tuple[str | None, bool]], compiled: CompiledPolicy) -> tuple[list[int], int]:
    """Return the code of each text, and how many there are. Of a row that is known in part, all of a text can matter."""
    told = telling_apart(compiled.patterns(key))
    seen: dict[object, int] = {}
    codes: list[int] = []
    for text, is_hidden in found:
        what: object = text
        if text is not None and not is_hidden:
            what = (told(text), is_malformed(text), text.startswith(MCP_SCHEME)) if key == "resource" else (told(text),)
        codes.append(seen.setdefault((is_hidden, what), len(seen)))
    return codes, max(len(seen), 1)


def _number(relation: str, domains: Sequence[Domain]) -> str:
    """Return the number of a combination of codes, as an expression: one number is joined faster than many columns."""
    sizes = [max(domain.size, 1) for domain in domains]
    bits = math.prod(sizes).bit_length()
    if bits > NUMBER_BITS_MAX:
        raise Rejected(f"{relation}: its facts have {bits} bits of combinations, {NUMBER_BITS_MAX} can be numbered; judge less at once")
    type_ = "BIGINT" if bits < 63 else "HUGEINT"
    number = f"0::{type_}"
    for domain, size in zip(domains, sizes, strict=True):
        number = f"({number} * {size} + {domain.name}.code)"
    return number


def _judged(
    connection: duckdb.DuckDBPyConnection,
    answers: str,
    domains: Sequence[Domain],
    reading: Reading,
    compiled: CompiledPolicy,
    recorded_under: Mapping[str, CompiledPolicy],
) -> pa.Table:
    """Judge one example of each combination; what could not be judged at all is a deny, as everywhere."""
    of_code = [
        f"JOIN (SELECT code, first(value) AS value FROM {domain.name} GROUP BY code) AS {domain.fact} "  # noqa: S608
        f"ON {domain.fact}.code = {answers}_asked.{domain.fact}"
        for domain in domains
    ]
    values = ", ".join(f"{domain.fact}.value AS {domain.fact}" for domain in domains)
    examples = connection.sql(f"SELECT place, {values} FROM {answers}_asked {' '.join(of_code)}")  # noqa: S608
    batches: list[pa.RecordBatch] = []
    for batch in examples.to_arrow_reader(BATCH_ROWS):
        said = [judgement_of(compiled, request) for request in _requests(batch, reading, recorded_under)]
        columns = (
            [each.verdict for each in said],
            [None if each.rule is None else each.rule + 1 for each in said],
            [each.policy_id for each in said],
            [each.rule_id for each in said],
            [each.not_replayable_key for each in said],
        )
        arrays = [pa.array(column, field.type) for column, field in zip(columns, list(_ANSWERS)[1:], strict=True)]
        batches.append(pa.RecordBatch.from_arrays([batch["place"], *arrays], schema=_ANSWERS))
    return pa.Table.from_batches(batches, schema=_ANSWERS)


def _requests(batch: pa.RecordBatch, reading: Reading, recorded_under: Mapping[str, CompiledPolicy]) -> Iterator[Request]:
    """Yield the request that each row of facts is."""
    for row in batch.to_pylist():
        args = row.get("f_args") if reading.args is None else _joined(row, "f_args", reading.args)
        yield _request(row, args, _joined(row, "f_tags", reading.tags), recorded_under)


def _joined(row: Mapping[str, Any], prefix: str, keys: Sequence[str]) -> str | None:
    """Put the members of an object together again, as JSON."""
    found = [(key, row.get(f"{prefix}_{place}")) for place, key in enumerate(keys)]
    members = [f"{json.dumps(key)}:{value}" for key, value in found if value is not None]
    return f"{{{','.join(members)}}}" if members else None


def _request(row: Mapping[str, Any], args: str | None, tags: str | None, recorded_under: Mapping[str, CompiledPolicy]) -> Request:
    resource, facts, paths = row["f_resource"], row.get("f_facts"), row.get("f_paths")
    who: dict[str, Any] = {key: row.get(f"f_{key}") for key in _IDENTITY}
    action_raw = row.get("f_action_raw")
    if facts is None and paths is None and (resource is None or len(resource) < RESOURCE_KEPT_CHARS_MAX):
        names = (actions_of(row["f_action"], resource), action_raw or row["f_action"], resource)
        return Request(*names, **who, tags=_object(tags), args=_object(args))
    decision = Decision(
        decision_id="",
        occurred_at=0,
        mode="log-only",
        effect="allow",
        action=row["f_action"],
        action_raw=action_raw,
        resource=resource,
        args=ABSENT if args is None else Raw(args),
        tags=ABSENT if tags is None else Raw(tags),
        facts=ABSENT if facts is None else Raw(facts),
        redactions=tuple(Redaction(path=path, type="") for path in _decode(paths or "[]")),
        reason_code="malformed_request" if row.get("f_is_malformed") else None,
        **who,
    )
    return request_of(decision, recorded_under=recorded_under.get(row.get("f_recorded_under") or ""), is_landed=True)


def _object(encoded: str | None) -> Mapping[str, object]:
    if encoded is None:
        return NOTHING
    try:
        value = _decode(encoded)
    except msgspec.DecodeError:  # a lone surrogate or a huge number
        value = json.loads(encoded)
    return value if isinstance(value, dict) else NOTHING
