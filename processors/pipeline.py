"""The way of a message from the log to the ledger, as one pure function: decode → sequence → judge → inspect → land.

Both runners drive it; all they add is when to call it and how to get the messages and the landing in and out. Time, keys,
what governs and what has landed are arguments: the same log gives the same rows, however it is cut into calls.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from controlzero.errors import Rejected
from controlzero.records import Decision
from processors import findings
from processors.flow import Place, ProjectKeys, Sequenced
from processors.governance import Governance
from processors.landed import Landed
from processors.steps.decode import decode
from processors.steps.inspect import inspect
from processors.steps.judge import judge
from processors.steps.land import land
from processors.steps.notice import notice
from processors.steps.sequence import SequenceState, sequence
from processors.steps.witness import with_facts, witness
from topics.declarations import DECISIONS
from topics.log import Message
from warehouse.columns import columns_of
from warehouse.kinds import Finding
from warehouse.lander import Landing, app_id

# What a step raises for input it cannot read; the messages are then decoded again, thoroughly, to find the lines that are bad.
UNREADABLE = (Rejected, msgspec.DecodeError, UnicodeError, RecursionError)


class PipelineState(Struct, frozen=True, kw_only=True):
    """Where each partition goes on from, and the producers in memory."""

    offsets: Mapping[int, int] = {}
    producers: SequenceState = SequenceState()


class Hole(Struct, frozen=True, kw_only=True):
    """Offsets of a partition that hold no message for us: `is_empty` where a direct read proved it, else they are lost."""

    partition: int
    first: int
    after: int
    is_empty: bool = False


class Environment(Struct, frozen=True, kw_only=True):
    """All that the pipeline needs to know beside messages and state."""

    log_id: str
    topic_id: str
    now: int  # microseconds since 1970 UTC
    governance: Governance
    key_of: ProjectKeys
    landed: Landed
    proven_empty: frozenset[Hole] = frozenset()
    on_step: Callable[[str], None] = lambda _: None  # told the name of each step as it ends


def process(messages: Sequence[Message], state: PipelineState, environment: Environment) -> tuple[Landing, PipelineState]:
    """Return what the messages cause, with their offsets, and the state after them.

    Messages of a partition are in order and go on from its offset in the state; offsets passed over are a hole, and a gap
    is found unless it is among `proven_empty`. Raises `Unavailable` for a message of a newer version, `Rejected` where
    messages cannot be landed whichever way they are read (a defect: nothing is landed, nothing lost).
    """
    try:
        return _process(messages, state, environment, thorough=False)
    except UNREADABLE:
        return _process(messages, state, environment, thorough=True)


def _process(
    messages: Sequence[Message], state: PipelineState, environment: Environment, *, thorough: bool
) -> tuple[Landing, PipelineState]:
    done = environment.on_step
    opened = decode(messages, log_id=environment.log_id, now=environment.now, thorough=thorough)
    done("decode")
    sequenced, producers = sequence(opened, state.producers, environment.landed)
    if not thorough and _comes_again(sequenced):
        raise Rejected("what comes again is told from what came first by its lines, and those that cannot be read count as none")
    found = sequenced.findings + notice(sequenced.rows, sequenced.outcomes, sequenced.losses)
    done("sequence")
    came = columns_of(Decision, [row.decision for row in sequenced.rows])
    judgements = judge(sequenced.rows, came, environment.governance)
    done("judge")
    witnessed = witness(sequenced.rows, came, judgements, environment.key_of)
    done("witness")
    inspected = inspect(sequenced.rows, witnessed, environment.key_of)
    done("inspect")
    decisions = with_facts(sequenced.rows, inspected, judgements, environment.governance, environment.key_of)
    done("facts")
    taken, holes = _offsets(messages, state.offsets)
    found += judgements.findings + inspected.findings + [_passed_over(hole, environment) for hole in holes]
    found = findings.as_landed(found, came, decisions)
    landing = land(
        sequenced,
        decisions,
        judgements.judged,
        inspected.finding_types,
        found,
        offsets={app_id(environment.log_id, environment.topic_id, partition): range_ for partition, range_ in taken.items()},
    )
    done("land")
    offsets = {**state.offsets, **{partition: after for partition, (_, after) in taken.items()}}
    return landing, PipelineState(offsets=offsets, producers=producers)


def _comes_again(sequenced: Sequenced) -> bool:
    """Say whether a number was used before: what comes again does not land, so no later step would notice that it cannot be read."""
    return any(tally.duplicate for tally in sequenced.tallies) or any(found.type == "sequence_conflict" for found in sequenced.findings)


def _offsets(messages: Sequence[Message], offsets: Mapping[int, int]) -> tuple[dict[int, tuple[int, int]], list[Hole]]:
    """Return the offsets each partition advances over, and the holes among them."""
    taken: dict[int, tuple[int, int]] = {}
    holes: list[Hole] = []
    for message in messages:
        partition, offset = message.partition, message.offset
        first, expected = taken.get(partition, (offsets.get(partition, offset),) * 2)
        if offset < expected:
            raise ValueError(
                f"partition {partition}: message {offset} after {expected - 1}; messages come in order, from the state's offset on"
            )
        if offset > expected:
            holes.append(Hole(partition=partition, first=expected, after=offset))
        taken[partition] = (first, offset + 1)
    return taken, holes


def _passed_over(hole: Hole, environment: Environment) -> Finding:
    """Return the finding of a hole: nobody's project can be told, so it is the operator's."""
    is_empty = msgspec.structs.replace(hole, is_empty=True) in environment.proven_empty
    lost = hole.after - hole.first
    place = Place(
        project_id="",
        producer_id="",
        first_seq=0,
        count=0,
        total=0,
        received_at=environment.now,
        log_id=environment.log_id,
        log_partition=hole.partition,
        log_offset=hole.first,
    )
    said = "hold no batch, a direct read found" if is_empty else "are not in the log any more and never landed"
    return findings.of_range(
        place,
        type="sequence_gap",
        detail="log_hole_empty" if is_empty else "log_hole",
        severity="info" if is_empty else "critical",
        message=f"offsets {hole.first:,} to {hole.after - 1:,} of {DECISIONS.name}, partition {hole.partition}, {said}",
        first_seq=hole.first,
        last_seq=hole.after - 1,
        occurred_at=environment.now,
        count=lost,
    )
