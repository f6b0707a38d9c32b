"""Lay out what lands as the ledger's tables, with the offsets that land beside them in one commit."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from msgspec.structs import replace

from controlzero.records import RESOURCE_KEPT_CHARS_MAX, Decision, Outcome
from processors.flow import OutcomeRow, Place, Row, Sequenced
from warehouse.columns import Column, columns_of, decisions_table, rows_table, table_of
from warehouse.kinds import Finding, Judged, Kind
from warehouse.lander import Landing


def land(
    sequenced: Sequenced,
    decisions: Sequence[Decision],
    judged: Sequence[Judged],
    finding_types: Sequence[tuple[str, ...]],
    found: Sequence[Finding],
    *,
    offsets: Mapping[str, tuple[int, int]],
) -> Landing:
    """Return the landing of what the steps made.

    `decisions`, `judged` and `finding_types` are of `sequenced.rows`, in their order: as inspected, as judged, and what was found.
    """
    tables: dict[Kind, pa.Table] = {}
    if decisions:
        tables["decision"] = decisions_table(
            [_cut(decision) for decision in decisions],
            placed=_placed(sequenced.rows),
            judged={**columns_of(Judged, judged), "finding_types": finding_types},
        )
    if sequenced.outcomes:
        outcomes = columns_of(Outcome, [row.outcome for row in sequenced.outcomes])
        tables["outcome"] = table_of("outcome", {**_placed(sequenced.outcomes), **outcomes})
    for kind, rows in (("finding", found), ("quarantine", sequenced.quarantined), ("tally", sequenced.tallies)):
        if rows:
            tables[kind] = rows_table(kind, rows)  # type: ignore[index,arg-type]
    return Landing(tables=tables, offsets=offsets)


def _cut(decision: Decision) -> Decision:
    """Keep of a resource what is kept: it has been judged and redacted whole."""
    if decision.resource is None or len(decision.resource) <= RESOURCE_KEPT_CHARS_MAX:
        return decision
    return replace(decision, resource=decision.resource[:RESOURCE_KEPT_CHARS_MAX])


def _placed(rows: Sequence[Row] | Sequence[OutcomeRow]) -> dict[str, Column]:
    """Return what each row owes to its batch, as columns."""
    places: list[Place] = [row.place for row in rows]
    return {
        "project_id": [place.project_id for place in places],
        "producer_id": [place.producer_id for place in places],
        "seq": [row.seq for row in rows],
        "received_at": [place.received_at for place in places],
        "log_partition": [place.log_partition for place in places],
        "log_offset": [place.log_offset for place in places],
        "backfill": [place.backfill for place in places],
    }
