"""Lets go of rows older than their project keeps that kind. Tallies stay: they prove what there was, and hold no personal data."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import pyarrow as pa

from warehouse.compaction import Compactor, Content
from warehouse.delta_log import LiveFile
from warehouse.files import MICROS, is_landed, stat_of
from warehouse.kinds import KINDS, Kind

Retention = Mapping[str, Mapping[str, int]]  # project → kind → days

QUARANTINE_DAYS = 7  # rejected input may hold anything: it is kept for repair, not for the record
FOREVER = 0
OUTLIVES: frozenset[Kind] = frozenset({"tally"})


def expire(compactor: Compactor, retention: Retention) -> int:
    """Rewrite or remove the files that hold rows past their days; return how many rows went.

    Days are counted in whole UTC days, so that a file is rewritten once a day at most. Files as they landed are left for
    compaction to merge first.
    """
    expired = 0
    now = datetime.fromtimestamp(compactor.now() // MICROS, UTC)
    for kind in KINDS.keys() - OUTLIVES:
        kept_since = {project: _deadline(days[kind], now) for project, days in retention.items() if kind in days}
        otherwise = _deadline(QUARANTINE_DAYS, now) if kind == "quarantine" else FOREVER
        compactor.log.refresh()
        for file in _may_expire(compactor.log.files.values(), kind, kept_since, otherwise):
            expired += _expire_in(compactor, file, kept_since, otherwise)
    return expired


def _deadline(days: int, now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=max(days, 1))).timestamp()) * MICROS


def _may_expire(files: Iterable[LiveFile], kind: Kind, kept_since: Mapping[str, int], otherwise: int) -> list[LiveFile]:
    """Return the merged files with a row received before some deadline that can be a row of its project."""

    def latest_deadline(file: LiveFile) -> int:
        low, high = file.min_values.get("project_id", ""), file.max_values.get("project_id", "\U0010ffff")
        return max([otherwise, *(since for project, since in kept_since.items() if low <= project <= high)])

    candidates = [file for file in files if file.kind == kind and not is_landed(file)]
    return [file for file in candidates if file.min_values.get("received_at", "") < stat_of(latest_deadline(file))]


def _expire_in(compactor: Compactor, file: LiveFile, kept_since: Mapping[str, int], otherwise: int) -> int:
    variables = {"kept_projects": list(kept_since), "kept_since": list(kept_since.values()), "kept_since_otherwise": otherwise}
    with compactor.database(variables) as database:
        (counted,) = pa.Table.from_batches(compactor.rows(database, "expired_rows", (file,))).to_pylist()
        expired = cast(int, counted["expired"])
        if not expired:
            return 0
        contents = [Content(macro=f"kept_{file.kind}", kind=file.kind, inputs=(file,))] if expired < counted["held"] else []
        return expired if compactor.exchange(database, file.month, (file,), contents) else 0
