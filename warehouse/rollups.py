"""Decisions counted by minute: what lands beside each batch of them."""

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.schema import TIMESTAMP, arrow_schema

MINUTE = 60_000_000
KEYS = ("project_id", "occurred_minute", "received_minute", "verdict", "judged_verdict", "mode", "effect", "backfill")


def minute_rollup(decisions: pa.Table) -> pa.Table:
    """Count the rows of kind `decision` by minute, project, verdict and mode: rows of kind `rollup`, grain `minute`."""
    keys = {
        "project_id": decisions["project_id"],
        "occurred_minute": _minute(decisions["occurred_at"]),
        "received_minute": _minute(decisions["received_at"]),
        "verdict": pc.coalesce(decisions["verdict"], decisions["judged_verdict"]),
        **{name: decisions[name] for name in ("judged_verdict", "mode", "effect", "backfill")},
        "with_findings": _with_findings(decisions),
    }
    counted = pa.table(keys).group_by(list(KEYS), use_threads=False).aggregate([("with_findings", "sum"), ([], "count_all")])
    return _rows(counted.rename_columns([*KEYS, "with_findings", "decisions"]))


def _minute(times: pa.ChunkedArray) -> pa.ChunkedArray:
    micros = times.cast(pa.int64())
    return pc.multiply(pc.divide(micros, MINUTE), MINUTE)


def _with_findings(decisions: pa.Table) -> pa.ChunkedArray:
    noticed = [pc.greater(pc.list_value_length(decisions[name]), 0) for name in ("finding_types", "drift_kinds")]
    return pc.or_(*noticed).cast(pa.int64())


def _rows(counted: pa.Table) -> pa.Table:
    columns = {name: counted[name] for name in counted.column_names}
    columns["received_at"] = columns["received_minute"]
    columns["grain"] = pa.repeat(pa.scalar("minute"), counted.num_rows)
    arrays = []
    for field in arrow_schema("rollup"):
        column = columns.get(field.name)
        if column is None:
            column = pa.nulls(counted.num_rows, field.type)
        arrays.append(column.cast(TIMESTAMP) if field.type == TIMESTAMP else column.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=arrow_schema("rollup"))
