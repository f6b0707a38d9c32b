"""Recorded traces of real agents, read as the decisions and outcomes an SDK would have sent."""

import gzip
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from controlzero.policy.request import canonical_action
from controlzero.records import ABSENT, TEXT_CHARS_MAX, Decision, Outcome, encode_record
from controlzero.version import __version__

GZIP_MAGIC = b"\x1f\x8b"
IMPORT_NAMESPACE = uuid.UUID("6f1c4f0e-6b0a-5c55-9d3c-0a4f8b6a2e77")
ERROR_CLASS_CHARS_MAX = 120


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a trace: an action an agent took, in the order of its session."""

    session_id: str
    seq: int
    agent_id: str
    action_kind: Literal["llm", "tool"]
    tool: str
    model: str | None = None
    user_id: str | None = None
    method: str | None = None
    arguments: dict[str, Any] | None = None
    text: str | None = None
    outcome: str | None = None
    offset_ms: float = 0
    labels: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Period:
    """The time the imported sessions are laid into, microseconds since 1970 UTC."""

    since: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a trace as it is sent: its decision, and the outcome that goes with it (None where unread)."""

    decision: bytes
    outcome: bytes | None


_action = msgspec.json.Decoder(Action)


def content_digest(path: Path, project_id: str) -> tuple[str, int]:
    """Return the digest that names this content in this project, and its number of lines.

    The producer's name comes from it, so importing a file again finds every line a duplicate.
    """
    digest = hashlib.sha256(project_id.encode())
    count = 0
    for raw in raw_lines(path):
        digest.update(raw)
        count += 1
    return digest.hexdigest()[:24], count


def raw_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a JSON-lines file, plain or gzip, without blank ones."""
    with path.open("rb") as opened:
        packed = opened.read(2) == GZIP_MAGIC
    with gzip.open(path, "rb") if packed else path.open("rb") as lines:
        for raw in lines:
            if stripped := raw.strip():
                yield stripped


def read(path: Path, *, name: str, period: Period, keep_labels: bool) -> Iterator[Line]:
    """Yield each line as the records to send.

    A line that is not an action is sent as it stands: the gateway refuses it with its reason and keeps it
    in quarantine, so nothing of a file is lost.
    """
    for number, raw in enumerate(raw_lines(path)):
        try:
            action = _action.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            yield Line(decision=raw, outcome=None)
            continue
        decision_id = str(uuid.uuid5(IMPORT_NAMESPACE, f"{name}/{number}"))
        occurred_at = _occurred_at(action, period)
        yield Line(
            decision=encode_record(_decision(action, decision_id, occurred_at, keep_labels=keep_labels)),
            outcome=None if action.outcome is None else encode_record(_outcome(action.outcome, decision_id, occurred_at)),
        )


def _decision(action: Action, decision_id: str, occurred_at: int, *, keep_labels: bool) -> Decision:
    raw, resource = asked(action)
    canonical = canonical_action(raw)
    return Decision(
        decision_id=decision_id,
        occurred_at=occurred_at,
        action=canonical,
        action_raw=raw if raw != canonical else None,
        mode="log-only",
        effect="allow",
        resource=resource,
        tool=action.tool,
        method=action.method,
        agent_id=action.agent_id,
        user_id=action.user_id,
        session_id=action.session_id,
        tags=_tags(action, keep_labels=keep_labels),
        args=msgspec.Raw(msgspec.json.encode(action.arguments)) if action.arguments else ABSENT,
        text=action.text[:TEXT_CHARS_MAX] if action.text else None,
        sdk=f"cz-import/{__version__}",
    )


def asked(action: Action) -> tuple[str, str]:
    """Return the action and the resource a trace line stands for."""
    if action.action_kind == "llm":
        return "llm.generate", f"model/{action.model}"
    return (f"{action.tool}:{action.method}" if action.method else "tool.call"), f"tool/{action.tool}"


def _tags(action: Action, *, keep_labels: bool) -> msgspec.Raw:
    tags: dict[str, object] = {} if action.model is None else {"model": action.model}
    if keep_labels and action.labels:
        tags |= {f"label.{key}": value for key, value in action.labels.items() if value is not None}
    return msgspec.Raw(msgspec.json.encode(tags)) if tags else ABSENT


def _outcome(said: str, decision_id: str, occurred_at: int) -> Outcome:
    failed = said != "ok"
    error_class = said.removeprefix("error:").strip().partition(":")[0][:ERROR_CLASS_CHARS_MAX] if failed else None
    return Outcome(
        decision_id=decision_id, occurred_at=occurred_at, carried_out=True, status="error" if failed else "ok", error_class=error_class
    )


def _occurred_at(action: Action, period: Period) -> int:
    """Lay a session at a place of the period that its id alone decides: an import made again says the same."""
    place = int.from_bytes(hashlib.sha256(action.session_id.encode()).digest()[:8]) / 2**64
    return period.since + int(place * (period.until - period.since)) + int(action.offset_ms * 1000)
