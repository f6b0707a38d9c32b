"""Keep what cannot land: its reason, its length and hash, and as much of its bytes as is kept of any input."""

import hashlib
from typing import Literal

from controlzero.records import QUARANTINE_BYTES_MAX, Rejected
from processors.findings import stable_id
from processors.flow import Place, Unreadable
from warehouse.kinds import Quarantined


def quarantined(
    line: Rejected | Unreadable, place: Place, *, seq: int | None, stage: Literal["ingest", "decode", "sequence"]
) -> Quarantined:
    """Return the quarantine's row for a line, or for a whole message (`seq` None)."""
    if isinstance(line, Rejected):
        length, sha256 = line.length, line.sha256
    else:
        length, sha256 = len(line.bytes), hashlib.sha256(line.bytes).hexdigest()
    return Quarantined(
        quarantine_id=stable_id(place, seq, stage, line.code),
        project_id=place.project_id,
        received_at=place.received_at,
        producer_id=place.producer_id or None,
        seq=seq,
        log_partition=place.log_partition,
        log_offset=place.log_offset,
        stage=stage,
        code=line.code,
        path=line.path,
        reason=line.reason,
        length=length,
        sha256=sha256,
        bytes=line.bytes[:QUARANTINE_BYTES_MAX],
    )
