"""Which facts of a landed decision a bundle reads, as SQL over the ledger's columns: no more of a row is ever opened."""

import re
from collections.abc import Iterable, Mapping

import duckdb
from msgspec import Struct

from controlzero.policy.conditions import IDENTITY
from controlzero.policy.evaluate import CompiledPolicy
from controlzero.policy.request import MCP_CALL, MCP_SCHEME
from controlzero.records import RESOURCE_KEPT_CHARS_MAX

ACTIONS_MAX = 2_000  # distinct actions, up to which arguments are opened only for those whose rules read them
# Whether something of a row is masked, cut or noted: what is known of it is then more than its values.
HIDDEN = f"coalesce(len(redactions) > 0 OR facts IS NOT NULL OR length(resource) >= {RESOURCE_KEPT_CHARS_MAX}, false)"
# What `request_of` needs to know of masked paths: their field, and whether all of it is masked, a key, or something below.
_PATHS = """nullif(to_json(list_sort(list_distinct(list_filter(list_transform(redactions, lambda each:
  CASE WHEN starts_with(each.path, 'args["[') THEN 'args["[' WHEN starts_with(each.path, 'tags["[') THEN 'tags["['
       WHEN each.path LIKE 'args_%' THEN 'args.' WHEN each.path LIKE 'tags_%' THEN 'tags.' ELSE each.path END),
  lambda each: each IN ('action', 'resource', 'agent_id', 'user_id', 'user_group', 'session_id')
       OR starts_with(each, 'args') OR starts_with(each, 'tags')))))::VARCHAR, '[]')"""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TELLING = re.compile(r"[A-Za-z0-9_-]*[A-DF-Za-df-z][A-Za-z0-9_-]*")  # not digits and `e` alone: a number has many spellings


class Reading(Struct, frozen=True):
    """The facts to read: by column name the expression over a landed decision.

    `args_0`, `args_1` … are the members of the arguments named in `args` (None: `f_args` is all of them), `tags_0` … of `tags`.
    """

    facts: Mapping[str, str]
    args: tuple[str, ...] | None
    tags: tuple[str, ...]
    is_hidden: bool  # some row may hold something that is known only in part


class Fact(Struct, frozen=True):
    """A value, read only of rows where `when` is so."""

    value: str
    when: str = ""


def reading_of(connection: duckdb.DuckDBPyConnection, relation: str, compiled: CompiledPolicy) -> Reading:
    """Return which facts of a relation's rows a bundle reads; what is never there is left out."""
    args = None if "args.*" in compiled.reads else tuple(_members(compiled, "args"))
    tags = tuple(_members(compiled, "tags"))
    facts = {"f_action_raw": Fact("action_raw", "contains(action, '::')")}  # all else that is malformed shows in `action`
    if args is None:
        facts["f_args"] = _whole_arguments(compiled)
    else:
        actions = _actions(connection, relation)
        facts |= {f"f_args_{place}": _argument(key, compiled, actions) for place, key in enumerate(args)}
    facts |= {f"f_tags_{place}": Fact(_member("tags", key), "tags IS NOT NULL") for place, key in enumerate(tags)}
    facts |= {
        "f_facts": Fact("facts", "facts IS NOT NULL"),
        "f_paths": Fact(_PATHS, "len(redactions) > 0"),
        "f_is_malformed": Fact("coalesce(reason_code, judged_reason_code) = 'malformed_request'", HIDDEN),
        "f_recorded_under": Fact("coalesce(bundle_digest, judged_bundle_digest)", HIDDEN),
    }
    read = _occurring(
        connection,
        relation,
        facts | {"f_resource": Fact("resource", "resource_claimed"), "unclaimed": Fact("true", "NOT resource_claimed")},
    )
    if read.pop("unclaimed", None) is None:
        read["f_resource"] = "resource"  # a plain column is hashed faster
    always = {f"f_{key}": key for key in ("agent_id", "user_id", "user_group", "session_id") if key in compiled.reads}
    return Reading({"f_action": "action", "f_resource": "NULL::VARCHAR"} | always | read, args, tags, "f_is_malformed" in read)


def _occurring(connection: duckdb.DuckDBPyConnection, relation: str, facts: Mapping[str, Fact]) -> dict[str, str]:
    """Return the expressions of those facts that some row has: one look at all rows spares grouping and joining by nothing."""
    conditions = list(dict.fromkeys(fact.when for fact in facts.values() if fact.when))
    ever = ", ".join(f"coalesce(bool_or({when}), false)" for when in conditions)
    found = connection.execute(f"SELECT {ever} FROM {relation}").fetchall()  # noqa: S608
    never = {when for when, is_ever in zip(conditions, found[0], strict=True) if not is_ever}
    asked = {name: fact for name, fact in facts.items() if fact.when not in never}
    return {name: f"CASE WHEN {fact.when} THEN {fact.value} END" if fact.when else fact.value for name, fact in asked.items()}


def _actions(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[str, ...] | None:
    """Return the distinct actions, or None where they are too many to look at each."""
    found = connection.execute(f"SELECT DISTINCT action FROM {relation} LIMIT {ACTIONS_MAX + 1}").fetchall()  # noqa: S608
    return tuple(action for (action,) in found) if len(found) <= ACTIONS_MAX else None


def _members(compiled: CompiledPolicy, field: str) -> list[str]:
    """Return the top-level keys of the arguments or tags that a bundle's paths can begin with (`a.b` is one, or `a`'s `b`)."""
    paths = [key.removeprefix(f"{field}.") for key in compiled.sorted_reads if key.startswith(f"{field}.")]
    if field == "tags":  # a bare key is looked up in the context, then in the tags
        paths += [
            key for key in compiled.sorted_reads if key not in IDENTITY and key != "resource" and not key.startswith(("args.", "tags."))
        ]
    split = [path.split(".") for path in paths]
    return sorted({".".join(segments[:taken]) for segments in split for taken in range(1, len(segments) + 1)})


def _argument(key: str, compiled: CompiledPolicy, actions: tuple[str, ...] | None) -> Fact:
    """Open the arguments for a key only where they may name it, and a rule about the action reads it."""
    wanted: list[str] = []
    readers = [action for action in actions or () if _reads(compiled.plan((action,)).reads, f"args.{key}")]
    if actions is not None and len(readers) < len(actions):
        about = [f"action IN ({', '.join(map(_quoted, readers))})"] if readers else []
        about += [f"starts_with(resource, '{MCP_SCHEME}')"] if _reads(compiled.plan((MCP_CALL,)).reads, f"args.{key}") else []
        wanted.append(f"({' OR '.join([*about, HIDDEN])})")  # the action itself may be masked
    if _PLAIN_KEY.fullmatch(key):
        wanted.append(_may_hold([f'{key}"']))
    return Fact(_member("args", key), " AND ".join(wanted) or "args IS NOT NULL")


def _whole_arguments(compiled: CompiledPolicy) -> Fact:
    """Return all arguments, but only where they can matter: some pattern could meet any key's, if a part of it occurs in them."""
    met = [each for rule in compiled.rules if not rule.resources.everything for each in rule.resources.globs]
    pieces = [[key.split(".")[1]] for key in compiled.sorted_reads if key.startswith("args.") and key != "args.*"]
    pieces += [[each.head.partition("/")[0]] if "/" in each.head else [each.head, *each.middle, each.tail] for each in met]
    words = {max((word for piece in alternative for word in _TELLING.findall(piece)), key=len, default="") for alternative in pieces}
    return Fact("args", "args IS NOT NULL" if "" in words else f"({_may_hold(sorted(words))} OR {HIDDEN})")


def _may_hold(words: Iterable[str]) -> str:
    r"""Tell whether JSON may hold one of these words: as it is, or spelled with `\u`."""
    told = [f"contains(args, {_quoted(word)})" for word in (*words, r"\u")]
    return f"({' OR '.join(told)})"


def _reads(reads: Iterable[str], key: str) -> bool:
    return any(each == key or each.startswith(f"{key}.") for each in reads)


def _member(field: str, key: str) -> str:
    escaped = key.replace("~", "~0").replace("/", "~1")
    return f"json_extract({field}, {_quoted('/' + escaped)})::VARCHAR"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
