"""Find personal data and secrets in decisions and mask them before they land: the second look, after the SDK's own."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from controlzero.pii.find import which_might_hold
from controlzero.pii.patterns import FAMILIES
from controlzero.pii.redact import RECEIPTS_MAX, UNREADABLE, Masks, folded, mask_json, mask_text
from controlzero.records import Redaction
from processors import findings
from processors.flow import Columns, Inspected, ProjectKeys, Row
from warehouse.kinds import Finding

# Every field an agent can write text into. Who it acts for is often an e-mail: its mask is the same wherever that
# e-mail stands in the project, so a masked user still has one history.
JSON_FIELDS = ("args", "tags", "facts")
TEXT_FIELDS = (
    "text", "action", "action_raw", "resource", "reason", "tool", "method", "agent_id", "user_id", "user_group", "session_id",
    "environment", "trace_id", "span_id", "policy_id", "rule_id", "sdk",
)  # fmt: skip
Receipts = tuple[Redaction, ...]


def inspect(rows: Sequence[Row], decisions: Columns, key_of: ProjectKeys) -> Inspected:
    """Mask what the decisions hold, and say what was found, by the agent's SDK or here, one finding for each path and type.

    `decisions` are those of the rows as they would land.
    """
    masked, receipts_of = _masked(rows, decisions, key_of)
    redactions = list(decisions["redactions"])
    finding_types: list[tuple[str, ...]] = [()] * len(rows)
    noticed: list[Finding] = []
    for place in [place for place, came in enumerate(redactions) if came or place in receipts_of]:
        came, receipts = redactions[place], receipts_of.get(place, ())
        arrived = {(receipt.path, receipt.type) for receipt in receipts}
        if came:
            receipts = folded((*(came if len(came) <= RECEIPTS_MAX else _by_field(came)), *receipts))
        redactions[place] = receipts
        finding_types[place] = tuple(sorted({receipt.type for receipt in receipts} - {UNREADABLE}))
        noticed += [
            _finding(rows[place], receipt, (receipt.path, receipt.type) in arrived) for receipt in receipts if receipt.type != UNREADABLE
        ]
    columns = {**decisions, **masked, "redactions": redactions}
    return Inspected(decisions=columns, masked=receipts_of.keys(), finding_types=finding_types, findings=noticed)


def _masked(rows: Sequence[Row], decisions: Columns, key_of: ProjectKeys) -> tuple[Columns, dict[int, Receipts]]:
    """Mask what the decisions hold; return the fields that changed, and the receipts of the decisions in which something did.

    Agents repeat themselves: what is the same in a batch is searched once, and masked once for each project.
    """
    masks_of = lru_cache(maxsize=None)(lambda project_id: Masks(key_of(project_id)))
    changed: dict[str, Sequence[object]] = {}
    receipts: dict[int, Receipts] = {}
    for field in (*JSON_FIELDS, *TEXT_FIELDS):
        values = decisions[field]
        suspects = _suspects(set(values))
        if not suspects:
            continue
        column = list(values)
        known: dict[tuple[str, object], tuple[object, Receipts]] = {}
        for place in [place for place, value in enumerate(values) if value in suspects]:
            project_id, value = about = rows[place].place.project_id, values[place]
            if about not in known:
                known[about] = _mask(field, value, masks_of(project_id))
            masked, own = known[about]
            if own or field in JSON_FIELDS:  # JSON is written anew, so that a duplicate key hides nothing
                column[place] = masked
                receipts[place] = receipts.get(place, ()) + own
        changed[field] = column
    return changed, receipts


def _suspects(values: Iterable[str | bytes | None]) -> set[str | bytes]:
    """Return those of the values that might hold something."""
    asked = [value for value in values if value]
    encoded = [value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass") for value in asked]
    return {asked[number] for number in which_might_hold(encoded)}


def _mask(field: str, value: str | bytes, masks: Masks) -> tuple[object, Receipts]:
    return mask_json(value, masks=masks, path=field) if isinstance(value, bytes) else mask_text(value, masks=masks, path=field)


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
