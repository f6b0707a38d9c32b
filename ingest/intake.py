"""A delivery's body turned into a batch's lines: expanded, admitted, and numbered under its producer."""

from collections.abc import Callable

from msgspec import Struct

from controlzero.batch import Batch, compress_lines
from ingest import limits
from ingest.admission import Admission, TooManyLines, admit_line_by_line
from ingest.bodies import TooLarge, Undecodable, expand, is_one_whole_frame
from ingest.delivery import Delivery, producer_of_content, total_after
from ingest.problems import Refusal
from ingest.screening import count_if_all_fine

Admitted = tuple[bytes, Admission]  # the body's lines as they were sent, and what became of them


class Intake(Struct, frozen=True, kw_only=True):
    """A delivery taken in: the batch but for its value, which takes time to compress, and what was rejected in it."""

    batch: Batch
    value: Callable[[], bytes]
    admission: Admission
    bytes_held: int  # beside the body, until the value is made


def expand_body(body: bytes, delivery: Delivery) -> bytes:
    """Return the body's lines. Raises `Refusal` (413, 422)."""
    try:
        return expand(body, delivery.encoding, bytes_max=limits.EXPANDED_BYTES_MAX)
    except TooLarge:
        raise Refusal("expanded-too-large", f"The body expands past {limits.EXPANDED_BYTES_MAX:,} bytes.") from None
    except Undecodable as error:
        raise Refusal("undecodable-body", f"The body cannot be expanded: {error}.") from None


def admit_fine(lines: bytes) -> Admission | None:
    """Admit lines that are all fine; None where they take a closer look."""
    count = count_if_all_fine(lines)
    return None if count is None else Admission(lines=lines, count=count)


def admit_body(body: bytes, delivery: Delivery) -> Admitted:
    """Expand a body, then admit or reject each of its lines. Raises `Refusal` (413, 422)."""
    lines = expand_body(body, delivery)
    try:
        return lines, admit_fine(lines) or admit_line_by_line(lines)
    except TooManyLines:
        raise Refusal("too-many-lines", f"The batch has more than {limits.LINES_MAX:,} lines.") from None


def take_in(body: bytes, lines: bytes, admission: Admission, delivery: Delivery, project_id: str, *, received_at: int) -> Intake:
    """Return the batch a delivery is. Raises `Refusal` (422) where its headers and its lines do not agree."""
    if admission.count == 0 and not delivery.closed:
        raise Refusal("empty-body", "The body holds no line, and `CZ-Closed` is not 1.")
    total = total_after(delivery, admission.count)
    batch = Batch(
        project_id=project_id,
        producer_id=delivery.producer_id or producer_of_content(project_id, lines),
        first_seq=delivery.first_seq,
        count=admission.count,
        total=total,
        received_at=received_at,
        value=b"",
        closed=delivery.closed or delivery.producer_id is None,
        backfill=delivery.backfill,
    )
    if admission.lines is lines and delivery.encoding == "zstd" and is_one_whole_frame(body, len(lines)):
        return Intake(batch=batch, value=lambda: body, admission=Admission(lines=b"", count=admission.count), bytes_held=0)
    held = 0 if admission.lines is body else len(admission.lines)
    return Intake(batch=batch, value=lambda: compress_lines(admission.lines), admission=admission, bytes_held=held)
