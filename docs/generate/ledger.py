"""The tables of docs/reference/ledger.md: the columns of each kind, with the types that Delta knows them by, and the views."""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import get_args

import pyarrow as pa

from docs.generate.markdown import code, table
from docs.generate.struct_fields import fields_of
from warehouse.kinds import KINDS, FindingType, Judged, Kind, Placed
from warehouse.retention import OUTLIVES, QUARANTINE_DAYS
from warehouse.schema import arrow_schema, table_schema

BESIDE = (Placed, Judged)  # what other types add to a row
FINDINGS = {
    "pii": "personal data in a decision, masked; `detail` is its type",
    "secret": "a credential in a decision, masked; `detail` is its type",
    "drift": "the agent does not judge by what is in force, or cannot know that it does: `verdict_differs`, `bundle_stale`, `governance_off`, `bundle_unconfirmed`, `bundle_expired`, `bundle_rollback_refused`, `bundle_tampering_refused` or `bundle_signature_refused`",
    "enforcement_gap": "an action went ahead that the policy in force denies under `enforce`, or although an order concerned its agent",
    "denial_unread": "the action was denied, and the code that asked never looked at the answer",
    "sequence_gap": "numbers of a producer that did not arrive, from `first_seq` to `last_seq`",
    "sequence_conflict": "two different records under one number of a producer",
    "clock_skew": "the agent's clock is ahead of ours, or was never set",
    "loss": "the agent's process could not keep records, and says so",
}


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {
        "kinds": _kinds,
        **{kind: partial(_columns, kind) for kind in KINDS},
        "findings": _findings,
        "views": _views,
    }


def _kinds() -> str:
    rows = [(code(kind), " ".join(_first_sentence(type_) for type_ in KINDS[kind] if type_ not in BESIDE), _kept(kind)) for kind in KINDS]
    return table(("kind", "a row is", "kept"), rows)


def _first_sentence(type_: type) -> str:
    return (inspect.getdoc(type_) or "").partition("\n")[0].partition(". ")[0].rstrip(".") + "."


def _kept(kind: Kind) -> str:
    if kind in OUTLIVES:
        return "for ever: it proves completeness and holds no personal data"
    days = f"{QUARANTINE_DAYS} days" if kind == "quarantine" else "for ever"
    return f"as long as the project says, {days} where it says nothing"


def _columns(kind: Kind) -> str:
    schema, delta = arrow_schema(kind), table_schema()
    meanings = {field.name: field.meaning for type_ in KINDS[kind] for field in fields_of(type_)}
    rows = [
        (code(field.name), _delta(delta.field(field.name).type), "null" if field.nullable else "", meanings[field.name]) for field in schema
    ]
    return table(("column", "type", "may be", "meaning"), rows)


def _delta(type_: pa.DataType) -> str:
    """Return a type under its name in the Delta protocol."""
    if pa.types.is_list(type_):
        return f"array of {_delta(type_.value_type)}"
    if pa.types.is_struct(type_):
        return "struct of " + ", ".join(f"`{field.name}` {_delta(field.type)}" for field in type_)
    if pa.types.is_timestamp(type_):
        return "timestamp"
    return {"int64": "long", "double": "double", "bool": "boolean"}.get(str(type_), str(type_))


def _findings() -> str:
    if set(FINDINGS) != set(get_args(FindingType)):
        raise LookupError(f"types of finding are {get_args(FindingType)}, told are {tuple(FINDINGS)}")
    return table(("type", "what was noticed"), [(code(name), text) for name, text in FINDINGS.items()])


def _views() -> str:
    told = [
        text for path in sorted((files("warehouse") / "views").iterdir(), key=lambda path: path.name) for text in _told(path.read_text())
    ]
    return table(("views", "answer"), told)


def _told(sql: str) -> list[tuple[str, str]]:
    """Return a file's views with the question it answers; nothing of a file without one."""
    question = sql.partition("\n")[0].removeprefix("-- ")
    views = ", ".join(code(name) for name in re.findall(r"^CREATE VIEW (\w+)", sql, re.MULTILINE))
    return [(views, question)] if views else []
