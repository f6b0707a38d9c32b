"""What a producer's tallies prove of its record, and what they cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dashboards.words import Tone

Proof = Literal["complete", "open", "gap", "unbalanced"]


@dataclass(frozen=True, kw_only=True)
class State:
    """How complete a producer's record is, in words and tone."""

    proof: Proof
    words: str
    tone: Tone
    icon: str


def state_of(row: Mapping[str, Any]) -> State:
    """Judge one producer's sums (`received`, `landed`, `duplicate`, `quarantined`, `missing`, `lost`, `total`, `last_seq`, `closed`)."""
    missing = row["missing"] + (max(row["total"] - row["last_seq"], 0) if row["closed"] else 0)
    if row["received"] != row["landed"] + row["duplicate"] + row["quarantined"]:
        return State(proof="unbalanced", words="does not balance: some records are unaccounted for", tone="deny", icon="gap")
    if missing or row["lost"]:
        parts = [f"{missing:,} missing"] * bool(missing) + [f"{row['lost']:,} lost in the agent"] * bool(row["lost"])
        return State(proof="gap", words=", ".join(parts), tone="deny", icon="gap")
    if row["closed"]:
        return State(proof="complete", words="complete: it ended in order", tone="allow", icon="check")
    return State(proof="open", words="open-ended, tail unproven", tone="none", icon="dash")
