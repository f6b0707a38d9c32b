"""The file in `run/` by which a process says how it goes. What each says of itself is its own; how it is written is here."""

import os
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

_logger = structlog.get_logger("topics.heartbeat")


def write(path: Path, heartbeat: Struct) -> None:
    """Replace the file whole. It is not made durable: after a crash it means nothing. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(heartbeat))
    draft.replace(path)


def write_if_possible(path: Path, heartbeat: Struct) -> None:
    """Replace the file whole. A disk that is full keeps it from being written, and nothing else from going on."""
    try:
        write(path, heartbeat)
    except OSError as unwritten:
        _logger.warning("The heartbeat cannot be written.", why=str(unwritten))
