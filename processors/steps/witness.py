"""Record of a call that came as it was made (an import, a plain HTTP client) what an SDK records: it is known only before redaction."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from controlzero.pii import args_digest, redact_json
from controlzero.policy.canonical import EXACT_INT_MAX, canonical, plain
from controlzero.policy.facts import record_facts
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision
from processors.flow import ProjectKeys, Row
from processors.governance import Governance
from processors.steps.judge import Judgements

# RFC 8785 sorts keys by UTF-16 units, the encoder by code points: the same but for characters that UTF-8 writes in four bytes.
_BEYOND_16_BITS = re.compile(rb"[\xf0-\xf4]")
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
NOTHING = bytes(ABSENT)


def witness(rows: Sequence[Row], judgements: Judgements, key_of: ProjectKeys) -> list[Row]:
    """Return the rows with the digest of their arguments, and with the resource the deciding rule named, where they had none."""
    return [_witnessed(row, place, judgements, key_of) for place, row in enumerate(rows)]


def _witnessed(row: Row, place: int, judgements: Judgements, key_of: ProjectKeys) -> Row:
    decision = row.decision
    if not came_as_made(decision):
        return row
    said, asked = judgements.said[place], judgements.asked[place]
    changes: dict[str, object] = {}
    if decision.args != ABSENT:
        args = asked.args if asked is not None else msgspec.json.decode(decision.args)
        if isinstance(args, dict) and args:
            changes["args_digest"] = args_digest(key_of(row.place.project_id), canonical_args(args))
    if decision.resource is None and said is not None and said.resource is not None:
        changes |= {"resource": said.resource, "resource_claimed": said.resource_claimed}
    return Row(replace(decision, **changes), row.seq, row.place) if changes else row


def canonical_args(args: dict[str, object]) -> bytes:
    """Return arguments as canonical JSON (RFC 8785): by the fast encoder, where what it writes is the same."""
    if is_exact(args):
        encoded = _encode_sorted(args)
        if encoded.isascii() or _BEYOND_16_BITS.search(encoded) is None:
            return encoded
    return canonical(plain(args)).encode()


def is_exact(value: object) -> bool:
    """Say whether a value decoded from JSON has no number that the fast encoder writes otherwise: a fraction, or one beyond 2^53."""
    kind = value.__class__
    if kind is dict or kind is list:
        for each in value.values() if kind is dict else value:  # type: ignore[attr-defined,union-attr]  # noqa: SIM110 - half the time of `all`
            if each.__class__ is not str and not is_exact(each):
                return False
        return True
    return kind is not float and (kind is not int or -EXACT_INT_MAX <= value <= EXACT_INT_MAX)  # type: ignore[operator]


def came_as_made(decision: Decision) -> bool:
    """Say whether a decision's arguments are those of the call: no SDK digested them or masked anything."""
    return decision.args_digest is None and not decision.redactions


def with_facts(
    rows: Sequence[Row], inspected: Sequence[Decision], judgements: Judgements, governance: Governance, key_of: ProjectKeys
) -> list[Decision]:
    """Return the decisions as inspected, with the facts that judging them again by the same bundle needs.

    `rows` hold them as they came. An SDK's decision has its facts already, noted under its own bundle.
    """
    return [
        decision
        if decision is row.decision and not _is_cut(decision)
        else _with_facts(row, decision, place, judgements, governance, key_of)
        for place, (row, decision) in enumerate(zip(rows, inspected, strict=True))
    ]


def _is_cut(decision: Decision) -> bool:
    return decision.resource is not None and len(decision.resource) > RESOURCE_KEPT_CHARS_MAX


def _with_facts(row: Row, decision: Decision, place: int, judgements: Judgements, governance: Governance, key_of: ProjectKeys) -> Decision:
    came, asked = row.decision, judgements.asked[place]
    governed = governance.projects.get(row.place.project_id)
    if asked is None or governed is None or governed.active is None:
        return decision
    if came.bundle_digest is not None or came.facts != ABSENT or came.redactions:
        return decision
    key = key_of(row.place.project_id)
    facts = record_facts(
        governed.active.compiled, asked, decision.redactions, lambda encoded: redact_json(encoded, key=key, path="facts")[0]
    )
    return decision if facts == NOTHING else replace(decision, facts=Raw(facts))
