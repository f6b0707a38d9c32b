"""What the listing commands share: the newest rows of a period, oldest first, and then each one as it lands."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import pyarrow as pa
from cyclopts import Parameter
from rich.text import Text

from controlzero.errors import Rejected
from cz.display import console
from warehouse.snapshot import Session

FOLLOW_EVERY_S = 0.3
FOLLOW_BACK = timedelta(minutes=10)  # how late a row may arrive and still be shown while following
FOLLOW_LIMIT = 1_000

Row = Mapping[str, Any]
PeriodOption = Annotated[int, Parameter(name=["--last-minutes", "-m"], help="The period, back from now")]
LimitOption = Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many, newest last")]
FollowOption = Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="Go on as they land, until Ctrl-C")]
JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object a line")]


def newest(
    reader: Session, query: str, parameters: Mapping[str, Any], *, key: str, last_minutes: int, limit: int, follow: bool
) -> Iterator[Row]:
    """Yield the newest rows of a period, oldest first; with `follow` go on for ever with those that land."""
    if limit < 1 or last_minutes < 1:
        raise Rejected("--limit and --last-minutes must be at least 1")

    def page(since: timedelta, limit: int) -> list[Row]:
        now = datetime.now(UTC)
        found: pa.Table = reader.query(query, **parameters, from_at=now - since, until_at=now + timedelta(minutes=1), limit=limit)
        return list(reversed(found.to_pylist()))

    shown = page(timedelta(minutes=last_minutes), limit)
    yield from shown
    if follow:
        seen = {row[key] for row in (*shown, *page(FOLLOW_BACK, FOLLOW_LIMIT))}
        while True:
            time.sleep(FOLLOW_EVERY_S)
            reader.refresh()
            rows = page(FOLLOW_BACK, FOLLOW_LIMIT)
            yield from (row for row in rows if row[key] not in seen)
            seen |= {row[key] for row in rows}


def show_lines(header: str, lines: Iterable[Text]) -> bool:
    """Print lines as they come, under their header; say whether there was any."""
    is_any = False
    for line in lines:
        if not is_any:
            console.print(header, style="dim", soft_wrap=True)
        is_any = True
        console.print(line, soft_wrap=True)
    return is_any


def as_json(row: Row) -> str:
    """Return a row as one JSON object."""
    return json.dumps({name: _plain(value) for name, value in row.items()})


def short_id(identity: bytes) -> str:
    """Return the end of an id, which differs even between ids made in the same millisecond."""
    return identity.hex()[-8:]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return str(UUID(bytes=value))
    if isinstance(value, datetime):
        return value.isoformat()
    return value
