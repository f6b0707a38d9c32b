"""Which lines of a batch are records, and why the others are not: pure, fast where all is well, exact where it is not.

Most batches pass `ingest.screening` whole. Of another, each line is screened on its own, then read for what
screening cannot tell apart, and only a bad one token by token. A line gets the same answer both ways, whatever
its neighbours are.
"""

import difflib
import hashlib
import re
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct

from controlzero.records import ABSENT, AGENT_RECORDS, QUARANTINE_BYTES_MAX, TAGS_MAX, Decision, Loss, Outcome, Rejected, encode_record
from ingest.limits import LINE_BYTES_MAX, LINES_MAX, OCCURRED_AT_MIN, REASON_CHARS_MAX
from ingest.screening import are_uuids, count_if_all_fine
from ingest.structure import Flaw, explain, find_flaw

NAMES_SUGGESTED_FROM = 0.6

_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_NULL = bytes(ABSENT)
_JSON_FIELDS = ("args", "tags", "facts")
_KINDS: dict[str, type[Struct]] = {kind.__struct_config__.tag: kind for kind in get_args(AGENT_RECORDS)}
_WORDS: dict[str, tuple[str, ...]] = {  # what the fields take that take one of some words
    name: get_args(part)
    for kind in _KINDS.values()
    for name, hint in get_type_hints(kind).items()
    for part in (hint, *get_args(hint))
    if get_origin(part) is Literal
}
_NAMES = sorted({name for kind in _KINDS.values() for name in kind.__struct_fields__})
_SECONDS_MAX = 100_000_000_000  # the year 5138; what is above it, and before 2000 in microseconds, is milliseconds

AgentRecord = Decision | Outcome | Loss


_decoder = msgspec.json.Decoder(AGENT_RECORDS)


class TooManyLines(Exception):  # noqa: N818 - says what the batch is
    """The batch has more lines than `LINES_MAX`."""


class RejectedLine(Struct, frozen=True):
    """A line that is no record: its number in the batch from 0, and why. This is what the sender is told."""

    line: int
    code: str
    path: str
    reason: str


class Admission(Struct, frozen=True, kw_only=True):
    """A batch as it goes into the log: each line in its place, a rejected one as a record of kind `rejected`."""

    lines: bytes  # NDJSON, each line ended
    count: int
    rejected: tuple[RejectedLine, ...] = ()


def admit(body: bytes) -> Admission:
    """Admit or reject each line of an NDJSON body. Raises `TooManyLines`.

    Blank lines hold no record and are not counted; lines end in LF or CRLF, the last one may lack it.
    """
    count = count_if_all_fine(body)
    if count is None:
        return admit_line_by_line(body)
    return Admission(lines=body, count=count)


def admit_line_by_line(body: bytes) -> Admission:
    """Admit or reject each line on its own. Raises `TooManyLines`."""
    if body.count(b"\n") > 2 * LINES_MAX:  # before they are cut apart: a body of line ends alone would be millions
        raise TooManyLines
    lines = [line for line in (line.removesuffix(b"\r") for line in body.split(b"\n")) if line.strip()]
    if len(lines) > LINES_MAX:
        raise TooManyLines
    kept: list[bytes] = []
    rejected: list[RejectedLine] = []
    for number, line in enumerate(lines):
        flaw = flaw_of(line)
        if flaw:
            reason = flaw.reason if len(flaw.reason) <= REASON_CHARS_MAX else flaw.reason[: REASON_CHARS_MAX - 1] + "…"
            rejected.append(RejectedLine(number, flaw.code, flaw.path, reason))
            line = _as_rejected(line, rejected[-1])
        kept.append(line)
    kept.append(b"")
    return Admission(lines=b"\n".join(kept), count=len(lines), rejected=tuple(rejected))


def _as_rejected(line: bytes, why: RejectedLine) -> bytes:
    return encode_record(
        Rejected(
            code=why.code,
            path=why.path,
            reason=why.reason,
            length=len(line),
            sha256=hashlib.sha256(line).hexdigest(),
            bytes=line[:QUARANTINE_BYTES_MAX],
        )
    )


def flaw_of(line: bytes) -> Flaw | None:
    """Return why a line is no record, None where it is one."""
    if count_if_all_fine(line + b"\n"):
        return None
    if len(line) > LINE_BYTES_MAX:
        return Flaw("line_too_long", "$", f"{len(line):,} bytes, expected at most {LINE_BYTES_MAX:,}; cut the text before it is sent")
    try:
        record = _decoder.decode(line)
    except (RecursionError, UnicodeDecodeError):
        return explain(line)
    except msgspec.ValidationError as error:
        return _flaw_of_values(str(error))
    except msgspec.DecodeError as error:
        return explain(line) or Flaw("not_json", "$", f"{error}; each line is one JSON object")
    return find_flaw(line) or _flaw_of_content(record)


def _flaw_of_values(message: str) -> Flaw:
    """Return msgspec's sentence as a flaw; where a name is unknown, with the one that may be meant."""
    reason, _, path = message.partition(" - at ")
    path = path.strip("`") or "$"
    unknown = _UNKNOWN_FIELD.search(reason)
    if unknown is None and (path == "$.kind" or reason.endswith("field `kind`")):
        return Flaw("unknown_kind", "$.kind", f"{reason}; known kinds are {', '.join(_KINDS)}")
    if unknown is None:
        return Flaw("invalid", path, reason + _way_out(reason, path))
    name = unknown[1]
    near = difflib.get_close_matches(name, _NAMES, n=1, cutoff=NAMES_SUGGESTED_FROM)
    return Flaw("unknown_field", f"{path}.{name}", f"unknown field `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))


def _way_out(reason: str, path: str) -> str:
    if path == "$":
        return "; each line is one JSON object"
    if reason.startswith("Invalid enum value"):
        return f"; expected one of {', '.join(f'`{word}`' for word in _WORDS[path.removeprefix('$.')])}"
    return "; microseconds since 1970 UTC, this looks like nanoseconds" if path == "$.occurred_at" and "<=" in reason else ""


def _flaw_of_content(record: AgentRecord) -> Flaw | None:
    if record.occurred_at < OCCURRED_AT_MIN:
        looks_like = "seconds" if record.occurred_at < _SECONDS_MAX else "milliseconds"
        return Flaw("not_microseconds", "$.occurred_at", f"expected microseconds since 1970 UTC, this looks like {looks_like}")
    if not isinstance(record, Loss) and not are_uuids([record.decision_id]):
        return Flaw("not_a_uuid", "$.decision_id", "expected a UUID such as 0190163d-8694-739b-aea5-966c26f8ad90 (version 7 sorts by time)")
    if not isinstance(record, Decision):
        return None
    for name in _JSON_FIELDS:
        json: Raw = getattr(record, name)
        if bytes(json) != _NULL and not bytes(json).startswith(b"{"):
            return Flaw("not_an_object", f"$.{name}", "expected a JSON object; put a single value under a name")
    if bytes(record.tags) != _NULL and len(msgspec.json.decode(record.tags, type=dict[str, Raw])) > TAGS_MAX:
        return Flaw("too_many_tags", "$.tags", f"expected at most {TAGS_MAX} tags; what is of this one call goes into `args`")
    return None
