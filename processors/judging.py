"""Judge many landed decisions at once: the distinct facts that a bundle reads, each once, joined back to all rows.

The evaluator is the one that agents and workers use. DuckDB finds the distinct facts and joins the answers; it never judges.
Which columns and arguments are facts follows from what the bundle reads, so the SQL is made here and not kept in a file.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw, Struct

from controlzero.errors import Rejected
from controlzero.policy.evaluate import CompiledPolicy
from controlzero.policy.facts import request_of
from controlzero.policy.index import telling_apart
from controlzero.policy.request import MCP_SCHEME, NOTHING, Request, actions_of, is_malformed
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from processors.reading import Reading, reading_of
from processors.steps.judge import judgement_of

BATCH_ROWS = 262_144  # distinct facts in memory at a time
SALTS_MAX = 4  # two of 400,000 facts meet in 64 bits once in 10^8 tries; again under other salts they were made to
_IDENTITY = ("agent_id", "user_id", "user_group", "session_id")
_decode = msgspec.json.Decoder().decode


class Rejudged(Struct, frozen=True, kw_only=True):
    """What `rejudge` found.

    `sql` selects each row of the relation with `rejudged_verdict`, `rejudged_rule` (the deciding rule's place, from 1),
    `rejudged_policy_id`, `rejudged_rule_id` and `rejudged_not_replayable_key`; it can be asked as long as the connection is
    open and its temporary table `answers` is there. That table has one row for each distinct fact, with how many `rows` have it.
    """

    sql: str
    answers: str
    facts: int
    rows: int


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
    `answers` names the temporary table that is made. Raises `duckdb.Error` for a relation that cannot be read.
    """
    reading = reading_of(connection, relation, compiled)
    asked = ", ".join(f"{expression} AS {name}" for name, expression in reading.facts.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {answers}_asked AS SELECT {asked}, count(*) AS rows FROM {relation} GROUP BY ALL")  # noqa: S608
    for salt in range(SALTS_MAX):
        fingerprint = f"hash({salt}, {', '.join(reading.facts)})"
        apart = connection.execute(f"SELECT count(DISTINCT {fingerprint}) = count(*) FROM {answers}_asked").fetchall()  # noqa: S608
        if apart[0][0]:
            break
    else:
        raise Rejected(f"{relation}: distinct facts have the same 64-bit hash under {SALTS_MAX} salts; they were made to")
    distinct = connection.sql(f"SELECT {fingerprint} AS h, * FROM {answers}_asked").to_arrow_reader(BATCH_ROWS)  # noqa: S608
    judging = _Judging(compiled, reading, recorded_under or {})
    said = pa.Table.from_batches([judging.answers(batch) for batch in distinct], schema=_ANSWERS)
    connection.register(f"{answers}_said", said)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {answers} AS SELECT * FROM {answers}_said")  # noqa: S608
    connection.unregister(f"{answers}_said")
    connection.execute(f"DROP TABLE {answers}_asked")
    same = f"hash({salt}, {', '.join(reading.facts.values())})"
    return Rejudged(
        sql=f"SELECT asked.*, {answers}.* EXCLUDE (h, rows) FROM {relation} AS asked JOIN {answers} ON {answers}.h = {same}",  # noqa: S608
        answers=answers,
        facts=said.num_rows,
        rows=pc.sum(said["rows"]).as_py() or 0,
    )


_ANSWERS = pa.schema(
    {
        "h": pa.uint64(),
        "rows": pa.int64(),
        "rejudged_verdict": pa.string(),
        "rejudged_rule": pa.int64(),
        "rejudged_policy_id": pa.string(),
        "rejudged_rule_id": pa.string(),
        "rejudged_not_replayable_key": pa.string(),
    }
)


class _Judging:
    """Judges batches of distinct facts, those alike once: facts whose texts meet the same patterns have the same answer."""

    def __init__(self, compiled: CompiledPolicy, reading: Reading, recorded_under: Mapping[str, CompiledPolicy]) -> None:
        self._compiled = compiled
        self._reading = reading
        self._recorded_under = recorded_under
        self._tells = {f"f_{key}": telling_apart(compiled.patterns(key)) for key in ("resource", *_IDENTITY)}
        self._seen: dict[str, dict[object, int]] = {name: {} for name in self._tells}

    def answers(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the answer to each row of a batch."""
        alike = self._alike(batch)
        first = pa.table({"alike": alike, "row": range(len(alike))}).group_by("alike").aggregate([("row", "min")]).sort_by("alike")
        said = [judgement_of(self._compiled, request) for request in self._requests(batch.take(first["row_min"].combine_chunks()))]
        columns = (
            [each.verdict for each in said],
            [None if each.rule is None else each.rule + 1 for each in said],
            [each.policy_id for each in said],
            [each.rule_id for each in said],
            [each.not_replayable_key for each in said],
        )
        spread = [pa.array(column, field.type).take(alike) for column, field in zip(columns, list(_ANSWERS)[2:], strict=True)]
        return pa.RecordBatch.from_arrays([batch["h"], batch["rows"], *spread], schema=_ANSWERS)

    def _alike(self, batch: pa.RecordBatch) -> pa.Array:
        """Number the rows from 0 so that rows of one number have one answer."""
        number = pa.repeat(pa.scalar(0, pa.int64()), batch.num_rows)
        is_hidden = _is_hidden(batch)
        for name in self._reading.facts:
            values = batch[name].dictionary_encode(null_encoding="encode")
            raw = values.indices.cast(pa.int64())
            if name in self._tells:
                codes = [self._code(name, text) for text in values.dictionary.to_pylist()]
                told = pa.array(codes, pa.int64()).take(raw)
                number = _with(number, pc.if_else(is_hidden, pc.add(raw, 1), 0))  # what is known in part is told by all of it
                raw = told
            number = _with(number, raw)
        return number

    def _code(self, name: str, text: str | None) -> int:
        seen = self._seen[name]
        if text is None:
            return seen.setdefault(None, len(seen))
        told = self._tells[name](text)
        if name == "f_resource":
            return seen.setdefault((told, is_malformed(text), text.startswith(MCP_SCHEME)), len(seen))
        return seen.setdefault(told, len(seen))

    def _requests(self, batch: pa.RecordBatch) -> Iterator[Request]:
        """Yield the request that each row of facts is."""

        def column(name: str) -> list[Any]:
            return batch[f"f_{name}"].to_pylist() if f"f_{name}" in self._reading.facts else [None] * batch.num_rows

        def columns(names: Iterable[str]) -> Iterable[tuple[Any, ...]]:
            several = [column(name) for name in names]
            return zip(*several, strict=True) if several else [()] * batch.num_rows

        args, tags = self._reading.args, self._reading.tags
        what = columns(("action", "action_raw", "resource", *_IDENTITY))
        given = columns(["args"] if args is None else [f"args_{place}" for place in range(len(args))])
        tagged = columns(f"tags_{place}" for place in range(len(tags)))
        hidden = columns(("facts", "paths", "is_malformed", "recorded_under"))
        for row, args_given, tags_given, masks in zip(what, given, tagged, hidden, strict=True):
            members = args_given[0] if args is None else _joined(args, args_given)
            yield self._request(row, members, _joined(tags, tags_given), masks)

    def _request(self, row: Sequence[Any], args: str | None, tags: str | None, masks: Sequence[Any]) -> Request:
        action, action_raw, resource, agent_id, user_id, user_group, session_id = row
        facts, paths, was_malformed, digest = masks
        if facts is None and paths is None and (resource is None or len(resource) < RESOURCE_KEPT_CHARS_MAX):
            who = (agent_id, user_id, user_group, session_id)
            return Request(actions_of(action, resource), action_raw or action, resource, *who, NOTHING, _object(tags), _object(args))
        decision = Decision(
            decision_id="",
            occurred_at=0,
            mode="log-only",
            effect="allow",
            action=action,
            action_raw=action_raw,
            resource=resource,
            agent_id=agent_id,
            user_id=user_id,
            user_group=user_group,
            session_id=session_id,
            args=ABSENT if args is None else Raw(args),
            tags=ABSENT if tags is None else Raw(tags),
            facts=ABSENT if facts is None else Raw(facts),
            redactions=tuple(Redaction(path=path, type="") for path in _decode(paths or "[]")),
            reason_code="malformed_request" if was_malformed else None,
        )
        return request_of(decision, recorded_under=self._recorded_under.get(digest or ""), is_landed=True)


def _with(number: pa.Array, codes: pa.Array) -> pa.Array:
    """Number rows by two numbers of theirs, densely and in the order of their first."""
    if pc.max(codes).as_py() in (0, None):
        return number
    both = pc.add(pc.multiply(number, pc.max(codes).as_py() + 1), codes)
    return both.dictionary_encode().indices.cast(pa.int64())


def _is_hidden(batch: pa.RecordBatch) -> pa.Array:
    """Tell of each row whether something of it is masked, cut or noted."""
    hidden = pc.fill_null(pc.greater_equal(pc.utf8_length(batch["f_resource"]), RESOURCE_KEPT_CHARS_MAX), False)  # noqa: FBT003
    for name in ("f_facts", "f_paths"):
        if name in batch.schema.names:
            hidden = pc.or_(hidden, pc.is_valid(batch[name]))
    return hidden


def _joined(keys: Sequence[str], values: Sequence[str | None]) -> str | None:
    """Put the members of an object together again, as JSON."""
    found = [f"{json.dumps(key)}:{value}" for key, value in zip(keys, values, strict=True) if value is not None]
    return f"{{{','.join(found)}}}" if found else None


def _object(encoded: str | None) -> Mapping[str, object]:
    if encoded is None:
        return NOTHING
    try:
        value = _decode(encoded)
    except msgspec.DecodeError:  # a lone surrogate or a huge number
        value = json.loads(encoded)
    return value if isinstance(value, dict) else NOTHING
