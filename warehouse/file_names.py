"""What the files of the ledger are called, and what their names say of them."""

from pathlib import Path
from typing import Literal

from warehouse.kinds import Kind

Stage = Literal["l", "d", "m"]


def file_name(stage: Stage, unique: str, sha256: str) -> str:
    """Return the name of a file, which holds its checksum."""
    return f"{stage}-{unique.replace('-', '')}-{sha256}.parquet"


def sha256_in(path: str) -> str | None:
    """Return the checksum that a file's name holds, None for a file of another writer."""
    parts = Path(path).stem.split("-")
    return parts[2] if len(parts) == 3 and parts[0] in ("l", "d", "m") else None


def folder_of(kind: Kind, month: str) -> str:
    """Return where a kind's files of a month are, relative to the ledger."""
    return f"kind={kind}/received_month={month}"
