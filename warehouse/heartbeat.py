"""What the keeper says of itself, in `run/keeper.json`."""

from typing import Literal

from msgspec import Struct


class Kept(Struct, frozen=True, kw_only=True):
    """What passes did."""

    merged_files: int = 0
    expired_rows: int = 0
    removed_files: int = 0
    checkpoints: int = 0


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The keeper at one moment. Times are microseconds since 1970 UTC; counts are since it started."""

    pid: int
    at: int
    started_at: int
    phase: Literal["running", "waiting", "stopped"] = "running"
    kept: Kept = Kept()
    last_error: str | None = None
    last_error_at: int | None = None


def sum_of(one: Kept, other: Kept) -> Kept:
    """Return what both did."""
    return Kept(
        merged_files=one.merged_files + other.merged_files,
        expired_rows=one.expired_rows + other.expired_rows,
        removed_files=one.removed_files + other.removed_files,
        checkpoints=one.checkpoints + other.checkpoints,
    )
