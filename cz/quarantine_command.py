"""`cz quarantine`: the lines of a project that could not be taken, each with its reason and how it begins."""

import sys
from collections.abc import Iterable
from datetime import UTC
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from controlzero.errors import Rejected
from controlzero.pii.redact import redact_text
from controlzero.records import QUARANTINE_BYTES_MAX
from controlzero.secrets_on_disk import master_key, project_key
from cz.display import empty, visible
from cz.home import Home
from cz.listing import FollowOption, PeriodOption, Row, as_json, newest, show_lines
from cz.opening import CHANGING, Changing, ProjectOption, chosen_project, control_plane
from warehouse.snapshot import Warehouse

MASKED_BYTES = 4_096  # of each line are masked, more than are shown: what is cut in two is not known for what it is
SHOWN_CHARS = 160
LINES, RAW_LINES_MAX = 50, 100_000
NOBODY = ""  # the project of what names none
HEADER = f"{'time (UTC)':<19} {'line':>6} {'bytes':>9}  reason, path, then how the line begins"


def quarantine(
    *,
    project: ProjectOption = None,
    last_minutes: PeriodOption = 10_080,
    limit: Annotated[
        int | None, Parameter(name=["--limit", "-n"], help="At most so many, newest last. Default: 50; with --raw all, up to 100,000")
    ] = None,
    follow: FollowOption = False,
    no_project: Annotated[
        bool, Parameter(negative="", help="Of no project: messages on Kafka that no project is named in, or that are damaged")
    ] = False,
    raw: Annotated[
        bool, Parameter(negative="", help="Write the lines' own bytes, nothing masked: to mend them and send them again")
    ] = False,
    options: Changing = CHANGING,
) -> None:
    """List what a project sent that could not be taken, newest last: why, where in the line, and how the line begins.

    `line` counts its producer's records from 0: of a POST without `CZ-Producer`, the lines of its body. Personal data is masked,
    and what a terminal would obey is spelled out. The control log keeps who looked.

    Example:  cz quarantine --project default --last-minutes 60
    """
    if raw and options.json:
        raise Rejected("--raw writes the lines themselves, --json what is known of them; say one of the two")
    if no_project and project is not None:
        raise Rejected("--no-project lists what is of no project; leave --project out")
    home = Home.named(options.home)
    with control_plane(options) as plane:
        chosen = NOBODY if no_project else chosen_project(plane, project)
        plane.record(
            chosen or None,
            "quarantine.export" if raw else "quarantine.read",
            f"last {last_minutes} minutes",
            actor=options.actor,
            why=options.why,
        )
    key = project_key(master_key(home.path), chosen)
    reader = Warehouse.open(home.ledger).session(chosen)
    asked = {"bytes_max": QUARANTINE_BYTES_MAX if raw else MASKED_BYTES}
    limit = (RAW_LINES_MAX if raw else LINES) if limit is None else limit
    rows = newest(reader, "quarantine_begins", asked, key="quarantine_id", last_minutes=last_minutes, limit=limit, follow=follow)
    if raw:
        _write(rows, limit)
    elif options.json:
        for row in rows:
            said = {name: value for name, value in row.items() if name != "bytes"}
            print(as_json({**said, "begins": _begins(row, key)}), flush=True)
    elif not show_lines(HEADER, (_lines(row, _begins(row, key)) for row in rows)):
        empty(
            f"Nothing of {f'project {chosen}' if chosen else 'no project'} was put in quarantine in the last {last_minutes:,} minutes.",
            "a longer period: --last-minutes 20160",
        )


def _write(rows: Iterable[Row], limit: int) -> None:
    """Write lines as they came; one that was too long is not whole, and left out."""
    for number, row in enumerate(rows, 1):
        if row["length"] > len(row["bytes"]):
            print(f"left out: a line of {row['length']:,} bytes, of which {len(row['bytes']):,} are kept", file=sys.stderr)
        else:
            sys.stdout.buffer.write(row["bytes"].removesuffix(b"\n") + b"\n")
            sys.stdout.buffer.flush()
        if number == limit:
            print(f"the newest {limit:,} lines; there may be older ones: see --limit", file=sys.stderr)


def _begins(row: Row, key: bytes) -> str:
    """Return how a line begins: masked, then spelled out where a terminal would obey or hide it."""
    text, _ = redact_text(row["bytes"].decode("utf-8", "backslashreplace"), key=key, path="bytes")
    return visible(text[:SHOWN_CHARS]) + ("…" if len(text) > SHOWN_CHARS or row["length"] > MASKED_BYTES else "")


def _lines(row: Row, begins: str) -> Text:
    number = "—" if row["seq"] is None else f"{row['seq']:,}"
    return Text.assemble(
        (f"{row['received_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S} ", "dim"),
        f"{number:>6} {row['length']:>9,}  ",
        (f"{row['code']}", "yellow"),
        visible(f" at {row['path']}: {row['reason']}" if row["path"] else f": {row['reason']}"),
        (f" (partition {row['log_partition']}, offset {row['log_offset']})", "dim"),
        (f"\n{'':<19} {begins}", "dim"),
    )
