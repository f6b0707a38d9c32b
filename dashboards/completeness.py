"""What a producer's tallies prove of its record, and what they cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from dashboards.words import Tone, ago

Proof = Literal["complete", "running", "open", "gap", "unbalanced"]
SILENT_AFTER: Final = timedelta(minutes=15)  # agents pause between sessions; one silent for longer has ended, or its machine has


@dataclass(frozen=True, kw_only=True)
class State:
    """How complete a producer's record is, in words and tone."""

    proof: Proof
    words: str
    tone: Tone
    icon: str


def state_of(row: Mapping[str, Any], *, at: datetime) -> State:
    """Judge one producer's sums as of a moment.

    They are `received`, `landed`, `duplicate`, `quarantined`, `missing`, `lost`, `total`, `last_seq`, `closed` and `last_at`.
    """
    missing = row["missing"] + (max(row["total"] - row["last_seq"], 0) if row["closed"] else 0)
    if row["received"] != row["landed"] + row["duplicate"] + row["quarantined"]:
        return State(proof="unbalanced", words="does not balance: some records are unaccounted for", tone="deny", icon="gap")
    if missing or row["lost"]:
        parts = [f"{missing:,} missing"] * bool(missing) + [f"{row['lost']:,} lost in the agent"] * bool(row["lost"])
        return State(proof="gap", words=", ".join(parts), tone="deny", icon="gap")
    if row["closed"]:
        return State(proof="complete", words="complete: it ended in order", tone="allow", icon="check")
    if at - row["last_at"] <= SILENT_AFTER:
        return State(proof="running", words=f"still running, last seen {ago(row['last_at'], now=at)}", tone="audit", icon="clock")
    return State(proof="open", words="open-ended, tail unproven", tone="none", icon="dash")


def speaker(row: Mapping[str, Any] | None) -> str:
    """Name the agent a producer spoke for, from its answer to `agents_of_producers`; a process may name several, or none."""
    if row is None or not row["agents"]:
        return "agent without a name"
    others = row["agents"] - 1
    return f"{row['agent_id']} and {others:,} more" if others else str(row["agent_id"])
