"""What is kept of the facts a bundle reads, so that a decision can be judged again after personal data in it was masked.

The facts of a decision are a JSON object by key:

    "tier": "gold"                            a context key the bundle reads, without personal data
    "contact": {"m": "[email:…]", "p": [0]}   one with: its masked text, and which of the bundle's tests of that key held
    "args.to": {"p": [0, 2]}                  an argument masked in the record: which tests held
    "offers.to": {"s": [{"p": [1]}, …], "e": […]}   what it offered as resources; a list or an object, as rules see it:
                                              every scalar (a deny rule) and the elements (another), one by one
    "@mcp": "mcp://shell/run"                 the MCP URL reached, where the explicit resource was another (true: it is masked)
    "@more": true                             the context held more than is kept here
    "args.cc": {}                             it was not there, where a masked key now could be it
    "@hidden": true                           keys of the arguments are masked; all that they offered is here

Tests are numbered as in `CompiledPolicy.patterns(key)` of the bundle they were asked under, never spelled out: a literal
that matched would be the value. A number below zero is a test that could not compare the value (-1 is number 0).
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from controlzero.policy.canonical import is_scalar, plain, text
from controlzero.policy.conditions import IDENTITY, NOT_THERE, UNRECORDED, Several, Test, elements, getter
from controlzero.policy.evaluate import CompiledPolicy
from controlzero.policy.request import MASK, MCP_CALL, MCP_SCHEME, NOTHING, Masked, Request, Viewed, actions_of
from controlzero.policy.resources import OFFERS, offers
from controlzero.records import ABSENT, ASKED_CHARS_MAX, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction

FACT_CHARS_MAX = 1_024  # of a context value; of a longer one only the answers are kept
FACT_ITEMS_MAX = 256  # of a list's; of a longer one nothing is kept, and a rule that reads it cannot be replayed
MASK_CHARS_MAX = 46  # of a mask: a type of 32, a token of 10, and what is around them
MORE, MCP, HIDDEN_KEYS = "@more", "@mcp", "@hidden"
TOO_LONG = "[hidden:aaaaaaaaaa]"  # the mask of a context value too long to keep
Redact = Callable[[bytes], bytes]
_ELSEWHERE = frozenset({*IDENTITY, "resource", "tags"})  # context keys that have a place of their own in a record
_PLACE = re.compile(r"[^.\[]+(?:\.[^.\[]+)?")  # a field, or a member of it
_FIELDS = ("agent_id", "user_id", "user_group", "session_id")


class Fact(Struct, frozen=True, omit_defaults=True, rename={"masked": "m", "held": "p", "scalars": "s", "elements": "e"}):
    """What is kept of a value that is no plain scalar, or is masked: the value as rules see it, or what tests said of it."""

    masked: str | None = None
    held: tuple[int, ...] | None = None
    scalars: "tuple[Kept, ...] | None" = None
    elements: "tuple[Kept, ...] | None" = None
    partial: bool = False
    lost: bool = False


Kept = str | int | float | bool | Fact | None
_decode_facts = msgspec.json.Decoder(dict[str, Kept] | None).decode
_decode = msgspec.json.Decoder().decode
_LOST = Fact(lost=True)


def record_facts(compiled: CompiledPolicy, request: Request, redactions: Sequence[Redaction], redact: Redact) -> bytes:
    """Return the facts to record with a decision, as JSON (`null` where there is nothing to note).

    `request` is the call as it was judged, `redactions` what was masked in its record since, and `redact` masks the
    personal data in encoded JSON. Costs nothing where nothing was masked and the context says only who acts.
    """
    resource = request.resource
    is_cut = resource is not None and len(resource) > RESOURCE_KEPT_CHARS_MAX  # type: ignore[arg-type]  # nothing is masked yet
    if not redactions and not request.context and request.reached is None and not is_cut:
        return b"null"
    found = _context_facts(compiled, request, redact) if request.context else {}
    if redactions or is_cut:
        paths = {redaction.path for redaction in redactions} | ({"resource"} if is_cut else set())
        found.update(_answers(compiled, request, paths))
        offered, all_noted = _offers(compiled, request, paths, redact)
        found.update(offered)
        if all_noted and any(path == "args" or path.startswith('args["') for path in paths):
            found[HIDDEN_KEYS] = True
        if "resource" in paths and MCP_CALL in request.actions[1:]:
            found[MCP] = True
    if request.reached is not None:
        found[MCP] = request.reached
    return _encoded(found) if found else b"null"


def _encoded(found: dict[str, Kept]) -> bytes:
    try:
        return msgspec.json.encode(found)
    except UnicodeEncodeError:  # half a surrogate pair is no text: nothing of it can be noted
        return msgspec.json.encode({MORE: True})


def _context_facts(compiled: CompiledPolicy, request: Request, redact: Redact) -> dict[str, Kept]:
    """Note what the bundle reads of the context beyond who acts, and whether there is more."""
    found: dict[str, Kept] = {}
    beyond = [key for key in request.context if key not in _ELSEWHERE]
    odd = [key for key in _FIELDS if key in compiled.reads and not isinstance(getattr(request, key), (str, type(None)))]
    if not beyond and not odd:
        return found
    for key in (*odd, *filter(_is_bare, compiled.sorted_reads)):
        have = getattr(request, key) if key in IDENTITY else _in_context(request, key)
        if have is not None:
            found[key] = _seen(have)
    if found:
        clean = _encoded({key: _as_text(seen) for key, seen in found.items()})
        masked = kept(redact(clean)) or {}
        found = {key: _masked(seen, masked.get(key), compiled.patterns(key)) for key, seen in found.items()}
    if any(key not in found for key in beyond):
        found[MORE] = True
    return found


def _in_context(request: Request, key: str) -> object:
    """Return a bare key's value if the context has it; what tags have is in the record."""
    return getter(key)(Request(request.actions, request.action_raw, context=request.context))


def _as_text(seen: Kept) -> Kept:
    """Return what rules see with each list or object among it as its text."""
    if not isinstance(seen, Fact):
        return seen
    return replace(seen, elements=tuple(text(item) if isinstance(item, (list, dict)) else item for item in seen.elements or ()))


def _seen(have: object) -> Kept:
    """Return a value as rules see it: a scalar as it is, all else as its scalars and its elements (lists and objects too)."""
    if is_scalar(have) and not isinstance(have, (Several, Viewed)):
        return plain(have)  # type: ignore[return-value]  # a scalar
    seen: list[tuple[Kept, ...]] = [tuple(map(plain, elements(have, is_deny=is_deny))) for is_deny in (True, False)]  # type: ignore[arg-type]
    if max(map(len, seen)) > FACT_ITEMS_MAX:
        return _LOST
    return Fact(scalars=seen[0], elements=seen[1], partial=isinstance(have, (Several, Viewed)) and have.is_partial)


def _masked(seen: Kept, masked: Kept, tests: Sequence[Test]) -> Kept:
    """Put a masked text and the tests that held in the place of each scalar that was masked."""
    if isinstance(seen, Fact):
        other = masked if isinstance(masked, Fact) else _LOST
        return replace(
            seen,
            scalars=_each_masked(seen.scalars or (), other.scalars or (), tests),
            elements=_each_masked(seen.elements or (), other.elements or (), tests),
        )
    if masked == seen and not (isinstance(seen, str) and len(seen) > FACT_CHARS_MAX):
        return seen
    shown = masked if isinstance(masked, str) and masked != seen and len(masked) <= FACT_CHARS_MAX else TOO_LONG
    return Fact(masked=shown, held=_held(seen, tests))


def _each_masked(seen: Sequence[Kept], masked: Sequence[Kept], tests: Sequence[Test]) -> tuple[Kept, ...]:
    others = masked if len(masked) == len(seen) else [None] * len(seen)
    return tuple(_masked(item, other, tests) for item, other in zip(seen, others, strict=True))


def _held(item: object, tests: Sequence[Test]) -> tuple[int, ...]:
    answers = [(number, test.holds(item)) for number, test in enumerate(tests)]
    return tuple(number if holds else -1 - number for number, holds in answers if holds is not False)


def _answers(compiled: CompiledPolicy, request: Request, paths: Iterable[str]) -> dict[str, Kept]:
    """Note what the bundle's tests say of values that the record holds only masked."""
    found: dict[str, Kept] = {}
    places = _places(paths)
    for key in compiled.sorted_reads:
        tests = compiled.patterns(key)
        if key == "resource":
            if key in paths and request.resource is not None:
                found[key] = Fact(held=_held(request.resource, tests))
        elif key != "args.*" and _is_masked(key, places) and not (_is_bare(key) and _in_context(request, key) is not None):
            have = getter(key)(request)
            if have is None and any('["' in path for path in paths):
                found[key] = Fact()  # a masked key cannot be it
            elif have is not None and not (key in IDENTITY and not isinstance(have, str)):  # such an identity is a context fact
                seen = _seen(have)
                found[key] = _answered(seen, tests) if isinstance(seen, Fact) else Fact(held=_held(seen, tests))
    return found


def _answered(seen: Fact, tests: Sequence[Test]) -> Fact:
    """Keep of a list or an object only what the tests said of each of its parts."""
    if seen.lost:
        return seen
    views = [tuple(Fact(held=_held(item, tests)) for item in view or ()) for view in (seen.scalars, seen.elements)]
    return replace(seen, scalars=views[0], elements=views[1])


def _offers(compiled: CompiledPolicy, request: Request, paths: Iterable[str], redact: Redact) -> tuple[dict[str, Kept], bool]:
    """Note which resource patterns the masked arguments met, and say whether that is all: an argument may be called by a secret."""
    found: dict[str, Kept] = {}
    if "resource" not in compiled.reads or not request.args:
        return found, True
    places = _places(paths)
    read = {f"args.{name}" for name in request.args}
    if "args.*" not in compiled.reads:
        read &= compiled.reads
    masked = {key for key in read if _is_masked(key, places)}
    if not masked:
        return found, True
    tests = compiled.patterns("resource")
    all_noted = True
    for offer in offers(request):
        if offer.key not in masked:
            continue
        key = OFFERS + offer.key.removeprefix("args.")
        noted = tuple(Fact(held=_held(each, tests)) for each in offer.scalars)
        if redact(encoded := msgspec.json.encode({offer.key.removeprefix("args."): None})) == encoded:  # its own key is no secret
            found[key] = Fact(scalars=noted, elements=noted if offer.elements else ()) if len(noted) <= FACT_ITEMS_MAX else _LOST
        elif any(fact.held for fact in noted):  # what met no pattern decided nothing
            all_noted = False
    return found, all_noted


def _is_masked(key: str, places: Collection[str]) -> bool:
    """Tell whether something was masked at or below the place a key reads, or so that this cannot be told."""
    if key in IDENTITY:
        return key in places
    field, _, rest = f"tags.{key}".partition(".") if _is_bare(key) else key.partition(".")
    return field in places or f"{field}.{rest.partition('.')[0]}" in places


def _places(paths: Iterable[str]) -> frozenset[str]:
    """Return the fields, and the members directly in them, at or below which something was masked; of an odd name only the field."""
    return frozenset(match[0] for path in paths if (match := _PLACE.match(path)))


def _is_bare(key: str) -> bool:
    return key != "resource" and key not in IDENTITY and not key.startswith(("args.", "tags."))


def request_of(decision: Decision, *, recorded_under: CompiledPolicy | None, is_landed: bool = False) -> Request:
    """Return the request that a recorded decision answered, as far as the record tells.

    `recorded_under` is the bundle its facts were noted under: the one of its `bundle_digest`, or without that the one that
    workers judged it by. `is_landed`: it comes from the ledger, which cuts a long resource.
    """
    args, tags = object_of(decision.args), object_of(decision.tags)
    resource = decision.resource if decision.resource_claimed else None
    is_cut = resource is not None and len(resource) >= (RESOURCE_KEPT_CHARS_MAX if is_landed else ASKED_CHARS_MAX)
    known = Request(
        actions_of(decision.action, resource),
        decision.action_raw or decision.action,
        resource,
        decision.agent_id,
        decision.user_id,
        decision.user_group,
        decision.session_id,
        NOTHING,
        tags,
        args,
    )
    if not decision.redactions and not is_cut and (decision.facts is ABSENT or decision.facts == ABSENT):
        return known
    return _in_part(known, decision, kept(decision.facts), recorded_under, is_cut=is_cut)


def _in_part(
    known: Request, decision: Decision, facts: dict[str, Kept] | None, recorded_under: CompiledPolicy | None, *, is_cut: bool
) -> Request:
    """Return a request with `Masked` where its record holds masks, and what was noted of it."""
    facts = {MORE: True} if facts is None else facts
    reads = recorded_under.reads if recorded_under is not None else frozenset[str]()
    noted = {key: _read(fact, _tests(key, recorded_under)) for key, fact in facts.items() if not key.startswith("@")}
    paths = {redaction.path for redaction in decision.redactions}
    masked = {key: Masked() for key, value in noted.items() if not isinstance(value, (str, int, float))} | dict.fromkeys(paths, Masked())
    changes: dict[str, Any] = {field: _around(getattr(known, field)) for field in _FIELDS if field in paths}
    changes |= {key: noted.pop(key) for key in _FIELDS if key in noted and not _is_answer(facts[key])}
    if is_cut or "resource" in paths:
        changes["resource"] = _around(known.resource, is_cut=is_cut)
        masked["resource"] = Masked()
    if "action" in paths:
        masked["action"] = Masked(tuple(MASK.split(known.actions[0])))
    for field in ("args", "tags"):
        if any(path.startswith(field) for path in paths):
            whole = {} if field in paths else getattr(known, field)  # a path without a key: what is there stands for something else
            changes[field] = {key: opened(value) for key, value in whole.items()}
            if field in paths or any(path.startswith(f'{field}["[') for path in paths) or any(map(MASK.search, whole)):
                masked[field] = Masked()
                if field == "args":
                    masked["offers"] = Masked(
                        recorded=_names("resource", recorded_under) if facts.get(HIDDEN_KEYS) is True else frozenset()
                    )
    changes |= _mcp(known, changes.get("resource"), facts.get(MCP, False), masked, is_noted=recorded_under is not None)
    return replace(
        known,
        **changes,
        context={key: noted.pop(key) for key, fact in facts.items() if _is_bare(key) and key in noted and not _is_answer(fact)},
        masked=masked,
        recorded=reads | facts.keys() if facts.get(MORE) is True else None,
        is_malformed=decision.reason_code == "malformed_request" and not masked.keys().isdisjoint(("action", "resource")),
        facts=noted,
    )


def _mcp(known: Request, resource: object, noted: Kept, masked: dict[str, Masked], *, is_noted: bool) -> dict[str, Any]:
    """Return what is to change for a call of a tool behind MCP; that it may be one is in `masked`, as `alias`."""
    if noted is not False:
        return {"actions": (known.actions[0], MCP_CALL), "reached": noted if isinstance(noted, str) else None}
    if not is_noted and isinstance(resource, Masked) and MCP_SCHEME.startswith(resource.pieces[0]) and MCP_CALL not in known.actions:
        masked["alias"] = Masked()
    return {}


def _is_answer(fact: Kept) -> bool:
    """Tell answers about a value elsewhere in the record from a value of the context, which has its (masked) text."""
    if not isinstance(fact, Fact):
        return False
    parts = [*(fact.scalars or ()), *(fact.elements or ())]
    return fact.masked is None and not fact.lost if not parts else all(map(_is_answer, parts))


def _names(key: str, recorded_under: CompiledPolicy | None) -> frozenset[str]:
    return frozenset(test.name for test in _tests(key, recorded_under))


def _tests(key: str, recorded_under: CompiledPolicy | None) -> Sequence[Test]:
    if recorded_under is None:
        return ()
    return recorded_under.patterns("resource" if key.startswith(OFFERS) else key)


def _read(fact: Kept, tests: Sequence[Test]) -> object:
    """Return a recorded fact: a scalar, `Masked` with the tests that held, or `Viewed` as rules see it."""
    if not isinstance(fact, Fact):
        return fact
    if fact.scalars is not None and fact.elements is not None:
        scalars, listed = (tuple(_read(item, tests) for item in view) for view in (fact.scalars, fact.elements))
        return Viewed(scalars, listed, fact.partial)
    if fact.held is None:
        return UNRECORDED if fact.lost else NOT_THERE
    held = [number for number in fact.held if -len(tests) <= number < len(tests)]
    return Masked(
        ("", "") if fact.masked is None else tuple(MASK.split(fact.masked)),
        frozenset(tests[number].name for number in held if number >= 0),
        frozenset(test.name for test in tests),
        frozenset(tests[-1 - number].name for number in held if number < 0),
    )


def _around(masked: object, *, is_cut: bool = False) -> object:
    """Return what is known of a text around its masks, and before its cut; a text without any is itself."""
    if not isinstance(masked, str):
        return masked
    pieces = MASK.split(masked)
    if is_cut:
        pieces[-1] = pieces[-1].rpartition("[")[0] if "[" in pieces[-1][-MASK_CHARS_MAX:] else pieces[-1]  # half a mask is no text
        pieces.append("")
    return Masked(tuple(pieces)) if len(pieces) > 1 else masked


def opened(value: object) -> object:
    """Return a value with `Masked` for each text that holds a mask, and for each object whose keys do."""
    if isinstance(value, str):
        return _around(value)
    if isinstance(value, list):
        return [opened(element) for element in value]
    if isinstance(value, dict):
        return (
            Masked(("{", "}"), is_object=True) if any(map(MASK.search, value)) else {key: opened(element) for key, element in value.items()}
        )
    return value


def kept(encoded: msgspec.Raw | bytes) -> dict[str, Kept] | None:
    """Return facts as they were recorded; None where someone else wrote them."""
    try:
        return _decode_facts(encoded) or {}
    except (msgspec.DecodeError, RecursionError):
        return None


def object_of(encoded: msgspec.Raw) -> Any:
    """Decode an object that was admitted; the standard library reads the lone surrogates and huge numbers msgspec refuses."""
    if encoded is ABSENT or encoded == ABSENT:
        return NOTHING
    try:
        decoded = _decode(encoded)
    except msgspec.DecodeError:
        decoded = json.loads(bytes(encoded))
    return decoded if isinstance(decoded, dict) else NOTHING
