"""Record of a call that came as it was made (an import, a plain HTTP client) what an SDK records: it is known only before redaction."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from controlzero.pii import args_digest, redact_json
from controlzero.policy.canonical import EXACT_INT_MAX, canonical, plain
from controlzero.policy.facts import record_facts
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from processors.flow import ProjectKeys, Row
from processors.governance import Governance
from processors.steps.judge import Answer, Judgements

# RFC 8785 sorts keys by UTF-16 units, the encoder by code points: the same but for characters that UTF-8 writes in four bytes.
_BEYOND_16_BITS = re.compile(rb"[\xf0-\xf4]")
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
NOTHING = bytes(ABSENT)


def witness(rows: Sequence[Row], judgements: Judgements, key_of: ProjectKeys) -> list[Row]:
    """Return the rows with the digest of their arguments, and with the resource the deciding rule named, where they had none."""
    digests: dict[int, str | None] = {}  # by the answer: rows with the same facts have the same arguments
    return [_witnessed(row, answer, key_of, digests) for row, answer in zip(rows, judgements.answers, strict=True)]


def _witnessed(row: Row, answer: Answer | None, key_of: ProjectKeys, digests: dict[int, str | None]) -> Row:
    decision = row.decision
    if not came_as_made(decision):
        return row
    if answer is None:
        digest = _digest(msgspec.json.decode(decision.args), row, key_of)
    elif id(answer) in digests:
        digest = digests[id(answer)]
    else:
        digest = digests[id(answer)] = _digest(answer.request.args, row, key_of)
    if decision.resource is None and answer is not None and answer.said.resource is not None:
        named = {"resource": answer.said.resource, "resource_claimed": answer.said.resource_claimed}
        decision = replace(decision, args_digest=digest, **named)
    elif digest is not None:
        decision = replace(decision, args_digest=digest)
    return row if decision is row.decision else Row(decision, row.seq, row.place)


def _digest(args: object, row: Row, key_of: ProjectKeys) -> str | None:
    return args_digest(key_of(row.place.project_id), canonical_args(args)) if isinstance(args, dict) and args else None


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
    noted: dict[tuple[int, tuple[Redaction, ...]], bytes] = {}  # by the answer and what was masked
    return [
        decision
        if answer is None or (decision is row.decision and not _is_cut(decision))
        else _with_facts(row, decision, answer, governance, key_of, noted)
        for row, decision, answer in zip(rows, inspected, judgements.answers, strict=True)
    ]


def _is_cut(decision: Decision) -> bool:
    return decision.resource is not None and len(decision.resource) > RESOURCE_KEPT_CHARS_MAX


def _with_facts(
    row: Row,
    decision: Decision,
    answer: Answer,
    governance: Governance,
    key_of: ProjectKeys,
    noted: dict[tuple[int, tuple[Redaction, ...]], bytes],
) -> Decision:
    came, governed = row.decision, governance.projects[row.place.project_id]
    if governed.active is None or came.bundle_digest is not None or came.facts != ABSENT or came.redactions:
        return decision
    about = (id(answer), decision.redactions)
    facts = noted.get(about)
    if facts is None:
        key = key_of(row.place.project_id)
        facts = noted[about] = record_facts(
            governed.active.compiled, answer.request, decision.redactions, lambda encoded: redact_json(encoded, key=key, path="facts")[0]
        )
    return decision if facts == NOTHING else replace(decision, facts=Raw(facts))
