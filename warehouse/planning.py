"""Which files of the ledger should become one: decided from their log entries alone.

The open month is merged in tiers, as a log-structured tree: new files join the small merged ones, and a row is rewritten a
logarithmic number of times. A closed month ends with about a million rows in a file.
"""

from collections.abc import Iterable
from itertools import groupby

from msgspec import Struct

from warehouse.delta_log import LiveFile
from warehouse.files import is_landed
from warehouse.kinds import Kind

FILE_ROWS = 1_000_000  # a full file: 72 ms instead of 261 for a count over ten million, and a merge stays some seconds
LIVE_FILES_MAX = 16  # of a kind in the open month, after a pass
LANDED_FILES_MAX = 256  # of a kind between passes: each costs a question 0.1 ms
TIER = 2  # a merged file joins a merge at least half its size


class Merge(Struct, frozen=True, kw_only=True):
    """Files of a kind and month that become `outputs` files of about equal size."""

    kind: Kind
    month: str
    inputs: tuple[LiveFile, ...]
    outputs: int


def merges(files: Iterable[LiveFile], *, open_month: str) -> list[Merge]:
    """Return what to merge now, in the order of kinds and months."""

    def place(file: LiveFile) -> tuple[str, str]:
        return file.kind, file.month

    planned = []
    for (_, month), group in groupby(sorted(files, key=place), key=place):
        plan = _in_open_month if month >= open_month else _in_closed_month
        merge = plan(list(group))
        if merge:
            planned.append(merge)
    return planned


def _in_open_month(files: list[LiveFile]) -> Merge | None:
    inputs = [file for file in files if is_landed(file)]
    merged = sorted((file for file in files if not is_landed(file)), key=lambda file: file.rows)
    while merged and _joins(merged[0], _rows(inputs)):
        inputs.append(merged.pop(0))
    if len(merged) >= LIVE_FILES_MAX:  # too many full ones: half of them become one
        return _merge(inputs + merged[: LIVE_FILES_MAX // 2], outputs=1)
    if not any(map(is_landed, inputs)):
        return None
    return _merge(inputs, outputs=min(-(-_rows(inputs) // (2 * FILE_ROWS)), LIVE_FILES_MAX - len(merged)))


def _joins(file: LiveFile, rows: int) -> bool:
    return file.rows < FILE_ROWS and file.rows <= TIER * rows


def _in_closed_month(files: list[LiveFile]) -> Merge | None:
    inputs = [file for file in files if is_landed(file) or file.rows < FILE_ROWS // TIER]
    if not any(map(is_landed, inputs)) and len(inputs) < TIER:
        return None
    return _merge(inputs, outputs=round(_rows(inputs) / FILE_ROWS))


def _merge(inputs: list[LiveFile], *, outputs: int) -> Merge:
    return Merge(kind=inputs[0].kind, month=inputs[0].month, inputs=tuple(inputs), outputs=max(1, outputs))


def _rows(files: Iterable[LiveFile]) -> int:
    return sum(file.rows for file in files)
