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
from msgspec import Raw, Struct

from controlzero.errors import Rejected
from controlzero.policy.conditions import IDENTITY
from controlzero.policy.evaluate import CompiledPolicy, Judgement
from controlzero.policy.facts import request_of
from controlzero.policy.request import MCP_CALL, MCP_SCHEME, NOTHING, Request, actions_of
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from processors.steps.judge import judgement_of

ACTIONS_MAX = 2_000  # distinct actions, up to which the arguments are opened only for those whose rules read them
BATCH_ROWS = 65_536  # distinct facts in memory as Python values at a time
SALTS_MAX = 4  # two facts meet in 64 bits once in 10^8 tries at 400,000; twice in a row, nothing is random

_WHAT = ("action", "action_raw", "resource", "agent_id", "user_id", "user_group", "session_id")
_MASKS = ("facts", "paths", "is_malformed", "recorded_under")
_HIDDEN = f"(len(redactions) > 0 OR facts IS NOT NULL OR length(resource) >= {RESOURCE_KEPT_CHARS_MAX})"
# What `request_of` needs to know of masked paths: their field, and whether all of it is masked, a key, or something below.
_PATHS = """CASE WHEN len(redactions) > 0 THEN nullif(to_json(list_sort(list_distinct(list_filter(list_transform(redactions, lambda each:
  CASE WHEN starts_with(each.path, 'args["[') THEN 'args["[' WHEN starts_with(each.path, 'tags["[') THEN 'tags["['
       WHEN each.path LIKE 'args_%' THEN 'args.' WHEN each.path LIKE 'tags_%' THEN 'tags.' ELSE each.path END),
  lambda each: each IN ('action', 'resource', 'agent_id', 'user_id', 'user_group', 'session_id')
       OR starts_with(each, 'args') OR starts_with(each, 'tags')))))::VARCHAR, '[]') END"""
_decode = msgspec.json.Decoder().decode


class Rejudged(Struct, frozen=True, kw_only=True):
    """What `rejudge` found.

    `sql` selects each row of the relation with `rejudged_verdict`, `rejudged_rule` (the deciding rule's place, from 1),
    `rejudged_policy_id`, `rejudged_rule_id` and `rejudged_not_replayable_key`; it can be asked as long as the connection is
    open and the temporary table `answers` is there. That table has one row for each distinct fact, with how many `rows` have it.
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
    facts = _facts(compiled, _actions(connection, relation))
    asked = ", ".join(f"{expression} AS {name}" for name, expression in facts.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {answers}_asked AS SELECT {asked}, count(*) AS rows FROM {relation} GROUP BY ALL")  # noqa: S608
    for salt in range(SALTS_MAX):
        fingerprint = f"hash({salt}, {', '.join(facts)})"
        distinct = connection.execute(f"SELECT count(DISTINCT {fingerprint}) = count(*) FROM {answers}_asked").fetchall()  # noqa: S608
        if distinct[0][0]:
            break
    else:
        raise Rejected(f"{relation}: distinct facts have the same 64-bit hash under {SALTS_MAX} salts; they were made to")
    said = _judged(connection, f"SELECT {fingerprint} AS h, * FROM {answers}_asked", facts, compiled, recorded_under or {})  # noqa: S608
    connection.register(f"{answers}_said", said)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {answers} AS SELECT * FROM {answers}_said")  # noqa: S608
    connection.unregister(f"{answers}_said")
    connection.execute(f"DROP TABLE {answers}_asked")
    same = f"hash({salt}, {', '.join(facts.values())})"
    return Rejudged(
        sql=f"SELECT asked.*, {answers}.* EXCLUDE (h, rows) FROM {relation} AS asked JOIN {answers} ON {answers}.h = {same}",  # noqa: S608
        answers=answers,
        facts=said.num_rows,
        rows=sum(said["rows"].to_pylist()),
    )


def _actions(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str] | None:
    """Return the distinct actions, or None where they are too many to look at each."""
    found = connection.execute(f"SELECT DISTINCT action FROM {relation} LIMIT {ACTIONS_MAX + 1}").fetchall()  # noqa: S608
    return [action for (action,) in found] if len(found) <= ACTIONS_MAX else None


def _facts(compiled: CompiledPolicy, actions: Sequence[str] | None) -> dict[str, str]:
    """Return the facts that the bundle reads, by the name of their column, as expressions over a landed decision."""
    facts = {
        "f_action": "action",
        "f_action_raw": "CASE WHEN contains(action, '::') THEN action_raw END",  # all else that is malformed shows in `action`
        "f_resource": "CASE WHEN resource_claimed THEN resource END",
    }
    facts |= {f"f_{key}": key for key in ("agent_id", "user_id", "user_group", "session_id") if key in compiled.reads}
    if "args.*" in compiled.reads:
        facts["f_args"] = "args"
    else:
        facts |= {f"f_args_{number}": _member("args", key, compiled, actions) for number, key in enumerate(members(compiled, "args"))}
    facts |= {f"f_tags_{number}": _pointer("tags", key) for number, key in enumerate(members(compiled, "tags"))}
    return facts | {
        "f_facts": "facts",
        "f_paths": _PATHS,
        "f_is_malformed": f"CASE WHEN {_HIDDEN} THEN coalesce(reason_code, judged_reason_code) = 'malformed_request' END",
        "f_recorded_under": f"CASE WHEN {_HIDDEN} THEN coalesce(bundle_digest, judged_bundle_digest) END",
    }


def members(compiled: CompiledPolicy, field: str) -> list[str]:
    """Return the top-level keys of the arguments or tags that a bundle's paths can begin with (`a.b` is one, or `a`'s `b`)."""
    paths = [key.removeprefix(f"{field}.") for key in compiled.sorted_reads if key.startswith(f"{field}.")]
    if field == "tags":  # a bare key is looked up in the context, then in the tags
        paths += [key for key in compiled.sorted_reads if key not in IDENTITY and not key.startswith(("args.", "tags."))]
    split = [path.split(".") for path in paths]
    return sorted({".".join(segments[:taken]) for segments in split for taken in range(1, len(segments) + 1)})


def _member(field: str, key: str, compiled: CompiledPolicy, actions: Sequence[str] | None) -> str:
    """Open the arguments only where a rule that reads the key is about the action."""
    if actions is None:
        return _pointer(field, key)
    readers = [action for action in actions if _reads(compiled.plan((action,)).reads, f"{field}.{key}")]
    if len(readers) == len(actions):
        return _pointer(field, key)
    behind_mcp = f" OR starts_with(resource, '{MCP_SCHEME}')" if _reads(compiled.plan((MCP_CALL,)).reads, f"{field}.{key}") else ""
    return f"CASE WHEN action IN ({', '.join(map(_quoted, readers or ['']))}){behind_mcp} OR {_HIDDEN} THEN {_pointer(field, key)} END"


def _reads(reads: Iterable[str], key: str) -> bool:
    return any(each == key or each.startswith(f"{key}.") for each in reads)


def _pointer(field: str, key: str) -> str:
    escaped = key.replace("~", "~0").replace("/", "~1")
    return f"json_extract({field}, {_quoted('/' + escaped)})::VARCHAR"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _judged(
    connection: duckdb.DuckDBPyConnection,
    asked: str,
    facts: Mapping[str, str],
    compiled: CompiledPolicy,
    recorded_under: Mapping[str, CompiledPolicy],
) -> pa.Table:
    """Judge each distinct fact; what could not be judged at all is a deny, as everywhere."""
    whole = "f_args" in facts
    keys = ["*"] if whole else members(compiled, "args")
    tag_keys = members(compiled, "tags")
    batches: list[pa.RecordBatch] = []
    for batch in connection.sql(asked).to_arrow_reader(BATCH_ROWS):
        requests = _requests(batch, keys, tag_keys, recorded_under, is_whole=whole)
        batches.append(_answers(batch, [judgement_of(compiled, request) for request in requests]))
    return pa.Table.from_batches(batches, schema=_ANSWERS)


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


def _answers(batch: pa.RecordBatch, said: Sequence[Judgement]) -> pa.RecordBatch:
    columns = [
        batch.column("h"),
        batch.column("rows"),
        [each.verdict for each in said],
        [None if each.rule is None else each.rule + 1 for each in said],
        [each.policy_id for each in said],
        [each.rule_id for each in said],
        [each.not_replayable_key for each in said],
    ]
    return pa.RecordBatch.from_arrays(
        [each if isinstance(each, pa.Array) else pa.array(each, field.type) for each, field in zip(columns, _ANSWERS, strict=True)],
        schema=_ANSWERS,
    )


def _requests(
    batch: pa.RecordBatch,
    keys: Sequence[str],
    tag_keys: Sequence[str],
    recorded_under: Mapping[str, CompiledPolicy],
    *,
    is_whole: bool,
) -> Iterator[Request]:
    """Yield the request that each row of facts is."""

    def column(name: str) -> list[Any]:
        return batch.column(f"f_{name}").to_pylist() if f"f_{name}" in batch.schema.names else [None] * batch.num_rows

    args: Iterable[Sequence[Any]] = zip(*(column("args" if is_whole else f"args_{number}") for number in range(len(keys))), strict=True)
    tags: Iterable[Sequence[Any]] = zip(*(column(f"tags_{number}") for number in range(len(tag_keys))), strict=True)
    what = zip(*(column(name) for name in _WHAT), strict=True)
    masks = zip(*(column(name) for name in _MASKS), strict=True)
    nothing = [()] * batch.num_rows
    for known, given, tagged, hidden in zip(what, args if keys else nothing, tags if tag_keys else nothing, masks, strict=True):
        action, action_raw, resource, *who = known
        is_cut = resource is not None and len(resource) >= RESOURCE_KEPT_CHARS_MAX
        if hidden[0] is None and hidden[1] is None and not is_cut:
            opened = _object(given[0]) if is_whole else _opened(keys, given)
            names = (actions_of(action, resource), action_raw or action, resource)
            yield Request(*names, who[0], who[1], who[2], who[3], NOTHING, _opened(tag_keys, tagged), opened)
        else:
            members_given = given[0] if is_whole else _joined(keys, given)
            yield _partly_known(known, members_given, _joined(tag_keys, tagged), hidden, recorded_under)


def _opened(keys: Sequence[str], values: Sequence[str | None]) -> Mapping[str, object]:
    found = {key: _value(value) for key, value in zip(keys, values, strict=True) if value is not None}
    return found or NOTHING


def _object(encoded: str | None) -> Mapping[str, object]:
    value = None if encoded is None else _value(encoded)
    return value if isinstance(value, dict) else NOTHING


def _value(encoded: str) -> Any:
    try:
        return _decode(encoded)
    except msgspec.DecodeError:  # a lone surrogate or a huge number
        return json.loads(encoded)


def _joined(keys: Sequence[str], values: Sequence[str | None]) -> str | None:
    """Put the members of an object together again, as JSON."""
    found = [f"{json.dumps(key)}:{value}" for key, value in zip(keys, values, strict=True) if value is not None]
    return f"{{{','.join(found)}}}" if found else None


def _partly_known(
    known: Sequence[Any], args: str | None, tags: str | None, hidden: Sequence[Any], recorded_under: Mapping[str, CompiledPolicy]
) -> Request:
    """Return the request of facts that are masked, cut or noted, by the way every such record is read."""
    action, action_raw, resource, agent_id, user_id, user_group, session_id = known
    facts, paths, is_malformed, digest = hidden
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
        redactions=tuple(Redaction(path=path, type="") for path in _value(paths or "[]")),
        reason_code="malformed_request" if is_malformed else None,
    )
    return request_of(decision, recorded_under=recorded_under.get(digest or ""), is_landed=True)
