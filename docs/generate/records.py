"""The tables of docs/reference/records.md: each record's fields, the values of its codes, and the limits."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import get_args

import msgspec
from msgspec import Struct

from controlzero import records
from controlzero.records import Decision, Loss, Outcome, Redaction, Rejected, encode_record
from controlzero.testing import STARTED_AT, a_decision
from docs.generate.markdown import code, fenced, table
from docs.generate.source_comments import constant_comments, value_comments
from docs.generate.struct_fields import Field, as_json_says, fields_of

LIMITS = ("NAME_CHARS_MAX", "ASKED_CHARS_MAX", "RESOURCE_KEPT_CHARS_MAX", "TEXT_CHARS_MAX", "TAGS_MAX")
UNTOLD_LIMITS = {"TAGS_MAX": "tags of one decision"}  # whose name says it all in the code
LOSSES = {
    "spool_full": "the spool is at its limit",
    "disk_full": "the disk took no more",
    "torn": "only a part of the record was written: a full disk, or a crash of the machine",
    "unencodable": "the record could not be written as JSON, or the gateway takes it in no form",
}
STATUSES = {
    "ok": "the action ended well",
    "error": "it raised an error",
    "denied": "it did not begin: the decision was a denial, under enforce or by an order",
    "cancelled": "it was cancelled, or its stream was closed before the end",
}


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    kinds: Mapping[str, type[Struct]] = {
        "decision": Decision,
        "outcome": Outcome,
        "loss": Loss,
        "rejected": Rejected,
        "redaction": Redaction,
    }
    return {
        **{name: partial(_record, kind) for name, kind in kinds.items()},
        "reason-codes": _reason_codes,
        "statuses": partial(_values, "status", STATUSES, records.OutcomeStatus),
        "losses": partial(_values, "reason", LOSSES, records.LossReason),
        "limits": _limits,
        "example": _example,
    }


def _record(kind: type[Struct]) -> str:
    rows = [(code(field.name), field.type, _presence(field), field.meaning) for field in fields_of(kind)]
    return f"{as_json_says(inspect.getdoc(kind) or '')}\n\n{table(('field', 'type', 'left out', 'meaning'), rows)}"


def _presence(field: Field) -> str:
    return "required" if field.is_required else code(field.default)


def _reason_codes() -> str:
    return table(("code", "meaning"), [(code(name), text) for name, text in value_comments(records, "ReasonCode").items()])


def _values(column: str, told: Mapping[str, str], literal: object) -> str:
    if set(told) != set(get_args(literal)):
        raise LookupError(f"the values of `{column}` are {get_args(literal)}, told are {tuple(told)}")
    return table((column, "meaning"), [(code(name), text) for name, text in told.items()])


def _limits() -> str:
    told = {**UNTOLD_LIMITS, **constant_comments(records)}
    return table(("limit", "", "of what"), [(code(name), f"{getattr(records, name):,}", told[name]) for name in LIMITS])


def _example() -> str:
    decision = a_decision(resource="table/orders", resource_claimed=False)
    outcome = Outcome(decision_id=decision.decision_id, occurred_at=STARTED_AT + 41_000, carried_out=True, status="ok", latency_ms=41.0)
    lines = [json.dumps(msgspec.json.decode(encode_record(record)), ensure_ascii=False) for record in (decision, outcome)]
    return fenced("\n".join(lines), "json")
