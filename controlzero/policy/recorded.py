"""A recorded decision as a call that can be made again; and a call with masks in it, whose values nobody knows."""

import json
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from controlzero.policy.conditions import IDENTITY
from controlzero.policy.examples import Call
from controlzero.policy.facts import Fact, Kept, kept, object_of, opened, request_of
from controlzero.policy.request import MASK, Request
from controlzero.records import ABSENT, Decision, Redaction

WHO = ("agent_id", "user_id", "user_group", "session_id")
_ELSEWHERE = ("@", "args.", "tags.", "offers.", "resource")  # facts about what has a place of its own in the record
_NOT_KEPT = object()


def call_of(decision: Decision) -> Call:
    """Return the call that a decision answered, as `enforce` is given it; what was masked of it is masked here.

    Its context is who acted and what was noted of the rest: the keys that the bundle reads.
    """
    context: dict[str, object] = {key: said for key in WHO if (said := getattr(decision, key)) is not None}
    for key, fact in (kept(decision.facts) or {}).items():
        value = _NOT_KEPT if key.startswith(_ELSEWHERE) else _given(fact)
        if value is not _NOT_KEPT:
            context[IDENTITY.get(key, key)] = value
    return Call(
        action=decision.action_raw or decision.action,
        resource=decision.resource if decision.resource_claimed else None,
        context=context,
        args=dict(object_of(decision.args)),
        tags=dict(object_of(decision.tags)),
    )


def with_masks(request: Request) -> Request:
    """Return a call that somebody wrote down as what is known of it: where a mask stands, the value is not."""
    paths = [Redaction(path=path, type="") for path in _masked_paths(request)]
    written = Decision(
        decision_id="",
        occurred_at=0,
        mode="log-only",
        effect="allow",
        action=request.actions[0],
        action_raw=request.action_raw,
        resource=request.resource,  # type: ignore[arg-type]  # nothing is masked yet
        args=_raw(request.args),
        tags=_raw(request.tags),
        redactions=tuple(paths),
    )
    known = {key: opened(getattr(request, key)) for key in WHO}
    known["context"] = {key: opened(value) for key, value in request.context.items()}
    known["recorded"] = frozenset(request.context) if any(map(MASK.search, request.context)) else None  # a masked key may be any
    return replace(request_of(written, recorded_under=None), **known) if paths else request


def _masked_paths(request: Request) -> Iterator[str]:
    """Yield where a call holds masks, as the receipts of a record say it."""
    for field in ("action_raw", "resource", *WHO):
        if _is_masked(getattr(request, field)):
            yield field.removesuffix("_raw")
    for field in ("args", "tags", "context"):
        for key, value in getattr(request, field).items():
            if MASK.search(key):
                yield f'{field}["['
            elif _is_masked(value):
                yield f"{field}.{key}"


def _is_masked(value: object) -> bool:
    return MASK.search(value if isinstance(value, str) else msgspec.json.encode(value).decode()) is not None


def _raw(members: Mapping[str, object]) -> Raw:
    return Raw(msgspec.json.encode(dict(members))) if members else ABSENT


def _given(fact: Kept) -> object:
    """Return a noted value as a call can give it again; of one that only tests were asked about, nothing is kept."""
    if not isinstance(fact, Fact):
        return fact
    if fact.masked is not None:
        return _member(fact.masked)
    members = [_given(each) for each in fact.elements or ()]
    return _NOT_KEPT if fact.lost or not members or _NOT_KEPT in members else members


def _member(text: str) -> object:
    """Return a text, or what it is the text of: of a list's members, those that are lists or objects are noted so."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
