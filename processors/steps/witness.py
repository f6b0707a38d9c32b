"""Record of a call that came as it was made (an import, a plain HTTP client) what an SDK records: it is known only before redaction."""

import re
from collections.abc import Callable, Sequence

import msgspec

from controlzero.pii import args_digest, redact_json
from controlzero.policy.canonical import EXACT_INT_MAX, canonical, plain
from controlzero.policy.facts import record_facts
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from processors.flow import Columns, Inspected, ProjectKeys, Row
from processors.governance import Governance
from processors.steps.judge import Judgements

# RFC 8785 sorts keys by UTF-16 units, the encoder by code points: the same but for characters that UTF-8 writes in four bytes.
_BEYOND_16_BITS = re.compile(rb"[\xf0-\xf4]")
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
NOTHING = bytes(ABSENT)


def witness(rows: Sequence[Row], came: Columns, judgements: Judgements, key_of: ProjectKeys) -> Columns:
    """Return the decisions with the digest of their arguments, and with the resource the deciding rule named, where they had none."""
    digests, resources, claims = (list(came[name]) for name in ("args_digest", "resource", "resource_claimed"))
    known: dict[int, str | None] = {}  # by the answer: rows with the same facts have the same arguments
    for place, (answer, redactions) in enumerate(zip(judgements.answers, came["redactions"], strict=True)):
        if digests[place] is not None or redactions:
            continue  # an SDK digested the arguments, or masked something in them: they are not those of the call
        if answer is None:
            digests[place] = _digest(msgspec.json.decode(came["args"][place] or NOTHING), rows[place], key_of)
            continue
        about = id(answer)
        if about not in known:
            known[about] = _digest(answer.request.args, rows[place], key_of)
        digests[place] = known[about]
        if resources[place] is None and answer.said.resource is not None:
            resources[place], claims[place] = answer.said.resource, answer.said.resource_claimed
    return {**came, "args_digest": digests, "resource": resources, "resource_claimed": claims}


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


def with_facts(rows: Sequence[Row], inspected: Inspected, judgements: Judgements, governance: Governance, key_of: ProjectKeys) -> Columns:
    """Return the decisions as inspected, with the facts that judging them again by the same bundle needs.

    `rows` hold them as they came. An SDK's decision has its facts already, noted under its own bundle.
    """
    columns = inspected.decisions
    cut = [place for place, name in enumerate(columns["resource"]) if name is not None and len(name) > RESOURCE_KEPT_CHARS_MAX]
    facts = list(columns["facts"])
    known: dict[tuple[int, tuple[Redaction, ...]], bytes] = {}  # by the answer and what was masked
    for place in {*inspected.masked, *cut}:
        row, answer, redactions = rows[place], judgements.answers[place], columns["redactions"][place]
        active = governance.projects[row.place.project_id].active if answer is not None else None
        if answer is None or active is None or _has_facts(row.decision):
            continue
        about = (id(answer), redactions)
        if about not in known:
            known[about] = record_facts(active.compiled, answer.request, redactions, _redacting(key_of(row.place.project_id)))
        if known[about] != NOTHING:
            facts[place] = known[about]
    return {**columns, "facts": facts}


def _has_facts(came: Decision) -> bool:
    return came.bundle_digest is not None or came.facts != ABSENT or bool(came.redactions)


def _redacting(key: bytes) -> Callable[[bytes], bytes]:
    return lambda encoded: redact_json(encoded, key=key, path="facts")[0]
