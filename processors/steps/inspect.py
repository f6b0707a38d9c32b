"""Find personal data and secrets in decisions and mask them before they land: the second look, after the SDK's own."""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from msgspec import Raw
from msgspec.structs import replace

from controlzero.pii.find import might_hold, which_might_hold
from controlzero.pii.patterns import FAMILIES
from controlzero.pii.redact import RECEIPTS_MAX, UNREADABLE, Masks, folded, mask_json, mask_texts
from controlzero.records import ABSENT, Decision, Redaction
from processors import findings
from processors.flow import Inspected, ProjectKeys, Row
from warehouse.kinds import Finding

# Every field an agent can write text into. Who it acts for is often an e-mail: its mask is the same wherever that
# e-mail stands in the project, so a masked user still has one history.
JSON_FIELDS = ("args", "tags", "facts")
TEXT_FIELDS = ("text",)
NAME_FIELDS = (
    "action", "action_raw", "resource", "reason", "tool", "method", "agent_id", "user_id", "user_group", "session_id",
    "environment", "trace_id", "span_id", "policy_id", "rule_id", "sdk",
)  # fmt: skip
FIELD_GROUPS = (JSON_FIELDS, TEXT_FIELDS, NAME_FIELDS)  # each is searched as one part, by its place here
_SEPARATOR = "\0"  # no value reaches over it

_names_of = attrgetter(*NAME_FIELDS)

Masked = tuple[dict[str, object], tuple[Redaction, ...]]  # the fields that changed, and the receipts
NOTHING: Masked = ({}, ())


def inspect(rows: Sequence[Row], key_of: ProjectKeys) -> Inspected:
    """Mask what the decisions hold, and say what was found, by the agent's SDK or here, one finding for each path and type."""
    decisions = [row.decision for row in rows]
    found = _masked(rows, key_of)
    finding_types: list[tuple[str, ...]] = [()] * len(rows)
    noticed: list[Finding] = []
    for place, row in enumerate(rows):
        changes, receipts = found.get(place, NOTHING)
        came = row.decision.redactions
        if not (came or receipts):
            if changes:
                decisions[place] = replace(row.decision, **changes)
            continue
        came = came if len(came) <= RECEIPTS_MAX else _by_field(came)
        decisions[place] = replace(row.decision, **changes, redactions=folded((*came, *receipts)) if came else receipts)
        finding_types[place] = tuple(sorted({receipt.type for receipt in (*came, *receipts)} - {UNREADABLE}))
        noticed += _findings(row, came, receipts)
    return Inspected(decisions=decisions, finding_types=finding_types, findings=noticed)


def _masked(rows: Sequence[Row], key_of: ProjectKeys) -> dict[int, Masked]:
    """Mask the decisions that hold something. Agents repeat themselves: what is the same in a batch is masked once."""
    parts = list(_parts(rows))
    masks: dict[str, Masks] = {}
    known: dict[tuple[str, int, bytes], Masked] = {}
    found: dict[int, Masked] = {}
    for number in which_might_hold(parts):
        place, group = divmod(number, len(FIELD_GROUPS))
        project_id = rows[place].place.project_id
        about = (project_id, group, parts[number])
        masked = known.get(about)
        if masked is None:
            if project_id not in masks:
                masks[project_id] = Masks(key_of(project_id))
            masked = known[about] = _mask(rows[place].decision, group, masks[project_id])
        if masked[0]:
            changes, receipts = found.get(place, NOTHING)
            found[place] = ({**changes, **masked[0]}, receipts + masked[1])
    return found


def _parts(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        decision = row.decision
        args, tags, facts = decision.args, decision.tags, decision.facts
        yield bytes(args) if tags is ABSENT and facts is ABSENT else b"\0".join((args, tags, facts))
        yield decision.text.encode("utf-8", "surrogatepass") if decision.text else b""
        yield _SEPARATOR.join(filter(None, _names_of(decision))).encode("utf-8", "surrogatepass")


def _mask(decision: Decision, group: int, masks: Masks) -> Masked:
    changes: dict[str, object] = {}
    if FIELD_GROUPS[group] is not JSON_FIELDS:
        texts = {field: text for field in FIELD_GROUPS[group] if (text := getattr(decision, field))}
        changed, receipts = mask_texts(texts, masks=masks)
        changes.update(changed)
        return changes, receipts
    receipts = ()
    for field in JSON_FIELDS:
        encoded = bytes(getattr(decision, field))
        if might_hold(encoded):
            masked, own = mask_json(encoded, masks=masks, path=field)
            changes[field] = Raw(masked)
            receipts += own
    return changes, receipts


def _by_field(receipts: Iterable[Redaction]) -> tuple[Redaction, ...]:
    """Fold an agent's receipts by field, where it sends more of them than a page would show."""
    return folded(Redaction(r.path.partition(".")[0].partition("[")[0], r.type, r.count, r.fingerprint) for r in receipts)


def _findings(row: Row, came: Sequence[Redaction], receipts: Sequence[Redaction]) -> Iterator[Finding]:
    unmasked = {(receipt.path, receipt.type) for receipt in receipts}
    for receipt in folded((*came, *receipts)):
        if receipt.type == UNREADABLE:
            continue
        family = FAMILIES.get(receipt.type, "pii")  # a newer SDK may know more types
        arrived = (receipt.path, receipt.type) in unmasked
        how = "arrived unmasked and was masked before it landed" if arrived else "was masked by the agent's SDK"
        yield findings.of_decision(
            row,
            type=family,
            detail=receipt.type,
            severity="critical" if family == "secret" else "warning" if arrived else "info",
            message=f"{receipt.type.replace('_', ' ')} in {receipt.path} {how}",
            path=receipt.path,
            count=receipt.count,
            fingerprint=receipt.fingerprint,
        )
