"""Find personal data and secrets in decisions and mask them before they land: the second look, after the SDK's own."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
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
NAME_FIELDS = (
    "action", "action_raw", "resource", "reason", "tool", "method", "agent_id", "user_id", "user_group", "session_id",
    "environment", "trace_id", "span_id", "policy_id", "rule_id", "sdk",
)  # fmt: skip
_names_of = attrgetter(*NAME_FIELDS)
_SEPARATOR = b"\0"  # no value reaches over it

Masked = tuple[dict[str, object], tuple[Redaction, ...]]  # the fields that changed, and the receipts
NOTHING: Masked = ({}, ())


def inspect(rows: Sequence[Row], key_of: ProjectKeys) -> Inspected:
    """Mask what the decisions hold, and say what was found, by the agent's SDK or here, one finding for each path and type."""
    decisions = [row.decision for row in rows]
    finding_types: list[tuple[str, ...]] = [()] * len(rows)
    noticed: list[Finding] = []
    found = _masked(rows, key_of)
    for place, row in enumerate(rows):
        came = row.decision.redactions
        if place not in found and not came:
            continue
        changes, receipts = found.get(place, NOTHING)
        arrived = {(receipt.path, receipt.type) for receipt in receipts}
        if came:
            receipts = folded((*(came if len(came) <= RECEIPTS_MAX else _by_field(came)), *receipts))
        decisions[place] = replace(row.decision, **changes, redactions=receipts)
        finding_types[place] = tuple(sorted({receipt.type for receipt in receipts} - {UNREADABLE}))
        noticed += [_finding(row, receipt, (receipt.path, receipt.type) in arrived) for receipt in receipts if receipt.type != UNREADABLE]
    return Inspected(decisions=decisions, finding_types=finding_types, findings=noticed)


def _masked(rows: Sequence[Row], key_of: ProjectKeys) -> dict[int, Masked]:
    """Mask the decisions that hold something. Agents repeat themselves: what is the same in a batch is masked once."""
    masks_of = lru_cache(maxsize=None)(lambda project_id: Masks(key_of(project_id)))
    known: dict[tuple[str, bool, bytes], Masked] = {}
    found: dict[int, Masked] = {}
    parts = list(_parts(rows))
    for number in which_might_hold(parts):
        place, is_text = divmod(number, 2)
        project_id, decision = rows[place].place.project_id, rows[place].decision
        about = (project_id, bool(is_text), parts[number])
        if about not in known:
            masks = masks_of(project_id)
            known[about] = _mask_texts(decision, ("text",), masks) if is_text else _mask_json(decision, masks)
        _add(found, place, known[about])
    named = _suspects(rows)
    names_known: dict[tuple[str, tuple[str | None, ...]], Masked] = {}
    for place, row in enumerate(rows) if named else ():
        names = _names_of(row.decision)
        if not named.isdisjoint(names):
            who = (row.place.project_id, names)
            if who not in names_known:
                names_known[who] = _mask_texts(row.decision, NAME_FIELDS, masks_of(row.place.project_id))
            _add(found, place, names_known[who])
    return found


def _add(found: dict[int, Masked], place: int, masked: Masked) -> None:
    if masked[0]:
        changes, receipts = found.get(place, NOTHING)
        found[place] = ({**changes, **masked[0]}, receipts + masked[1])


def _parts(rows: Iterable[Row]) -> Iterator[bytes]:
    """Lay out what is searched: of each decision its JSON, then its text."""
    for row in rows:
        decision = row.decision
        args, tags, facts = decision.args, decision.tags, decision.facts
        yield bytes(args) if tags is ABSENT and facts is ABSENT else _SEPARATOR.join((args, tags, facts))
        yield decision.text.encode("utf-8", "surrogatepass") if decision.text else b""


def _suspects(rows: Iterable[Row]) -> set[str]:
    """Name the names that might hold something: a batch has few different ones."""
    distinct: set[str | None] = set()
    for row in rows:
        distinct.update(_names_of(row.decision))
    names = [name for name in distinct if name]
    return {names[number] for number in which_might_hold([name.encode("utf-8", "surrogatepass") for name in names])}


def _mask_texts(decision: Decision, fields: Sequence[str], masks: Masks) -> Masked:
    changed, receipts = mask_texts({field: text for field in fields if (text := getattr(decision, field))}, masks=masks)
    return dict(changed), receipts


def _mask_json(decision: Decision, masks: Masks) -> Masked:
    """Mask the JSON fields of a decision of which at least one might hold something."""
    fields = [(field, bytes(value)) for field in JSON_FIELDS if (value := getattr(decision, field)) is not ABSENT]
    changes: dict[str, object] = {}
    receipts: tuple[Redaction, ...] = ()
    for field, encoded in fields:
        if len(fields) == 1 or might_hold(encoded):
            masked, own = mask_json(encoded, masks=masks, path=field)
            changes[field] = Raw(masked)
            receipts += own
    return changes, receipts


def _by_field(receipts: Iterable[Redaction]) -> tuple[Redaction, ...]:
    """Fold an agent's receipts by field, where it sends more of them than a page would show."""
    return folded(Redaction(r.path.partition(".")[0].partition("[")[0], r.type, r.count, r.fingerprint) for r in receipts)


def _finding(row: Row, receipt: Redaction, arrived: bool) -> Finding:  # noqa: FBT001 - the loop above is the only caller
    family = FAMILIES.get(receipt.type, "pii")  # a newer SDK may know more types
    how = "arrived unmasked and was masked before it landed" if arrived else "was masked by the agent's SDK"
    return findings.of_decision(
        row,
        type=family,
        detail=receipt.type,
        severity="critical" if family == "secret" else "warning" if arrived else "info",
        message=f"{receipt.type.replace('_', ' ')} in {receipt.path} {how}",
        path=receipt.path,
        count=receipt.count,
        fingerprint=receipt.fingerprint,
    )
