"""Lay out what lands as the ledger's tables, with the offsets that land beside them in one commit."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from controlzero.records import RESOURCE_KEPT_CHARS_MAX, Outcome
from processors.flow import Columns, OutcomeRow, Place, Row, Sequenced
from warehouse.columns import Column, columns_of, rows_table, shared_columns, table_of
from warehouse.kinds import Finding, Judged, Kind
from warehouse.lander import Landing


def land(
    sequenced: Sequenced,
    decisions: Columns,
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
    if sequenced.rows:
        kept = {**decisions, "resource": _cut(decisions["resource"])}
        words = {**shared_columns("decision", Judged, judged), "finding_types": finding_types}
        tables["decision"] = table_of("decision", {**kept, **_placed("decision", sequenced.rows), **words})
    if sequenced.outcomes:
        outcomes = columns_of(Outcome, [row.outcome for row in sequenced.outcomes])
        tables["outcome"] = table_of("outcome", {**_placed("outcome", sequenced.outcomes), **outcomes})
    for kind, rows in (("finding", found), ("quarantine", sequenced.quarantined), ("tally", sequenced.tallies)):
        if rows:
            tables[kind] = rows_table(kind, rows)  # type: ignore[index,arg-type]
    return Landing(tables=tables, offsets=offsets)


def _cut(resources: Sequence[str | None]) -> list[str | None]:
    """Keep of a resource what is kept: it has been judged and redacted whole."""
    return [None if name is None else name[:RESOURCE_KEPT_CHARS_MAX] for name in resources]


def _placed(kind: Kind, rows: Sequence[Row] | Sequence[OutcomeRow]) -> dict[str, Column]:
    """Return what each row owes to its batch, as columns."""
    return {**shared_columns(kind, Place, [row.place for row in rows]), "seq": [row.seq for row in rows]}
