"""What is kept of the facts a bundle reads, so that a decision can be judged again after personal data in it was masked.

The facts of a decision are a JSON object by key:

    "tier": "gold"                            a context key the bundle reads, without personal data
    "contact": {"m": "[email:…]", "p": [0]}   one with: its masked text, and which of the bundle's tests of that key held
    "args.to": {"p": [0, 2]}                  an argument masked in the record: which tests held
    "offers.to": {"s": [{"p": [1]}, …], "e": […]}   what it offered as resources; a list or an object, as rules see it:
                                              every scalar (a deny rule) and the elements (another), one by one
    "@mcp": "mcp://shell/run"                 the MCP URL reached, where the explicit resource was another
    "@more": true                             the context held more than is kept here

Tests are numbered as in `CompiledPolicy.patterns(key)` of the bundle they were asked under, never spelled out: a literal
that matched would be the value. A number below zero is a test that could not compare the value (-1 is number 0).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from controlzero.policy.canonical import is_scalar, plain
from controlzero.policy.conditions import IDENTITY, Several, Test, elements, getter
from controlzero.policy.evaluate import CompiledPolicy
from controlzero.policy.request import MASK, MCP_CALL, MCP_SCHEME, NOTHING, Masked, Request, Viewed
from controlzero.policy.resources import OFFERS, Offer, offers
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction

FACT_CHARS_MAX = 1_024  # of a context value; of a longer one only the answers are kept
FACT_ITEMS_MAX = 256  # of a list's; of a longer one nothing is kept, and a rule that reads it cannot be replayed
MORE, MCP, MASKED, HELD, SCALARS, ELEMENTS, PARTIAL, LOST = "@more", "@mcp", "m", "p", "s", "e", "partial", "lost"
HIDDEN = "[hidden:aaaaaaaaaa]"  # the mask of a context value too long to keep
MASK_CHARS_MAX = 46  # of a mask: a type of 32, a token of 10, and what is around them
_NULL = b"null"
_RECORDED = frozenset({*IDENTITY, "resource", "tags"})  # context keys that have a place of their own in a record
_FIELDS = ("agent_id", "user_id", "user_group", "session_id")
Redact = Callable[[bytes], bytes]


def record_facts(compiled: CompiledPolicy, request: Request, redactions: Sequence[Redaction], redact: Redact) -> bytes:
    """Return the facts to record with a decision, as JSON (`null` where there is nothing to note).

    `request` is the call as it was judged, `redactions` what was masked in its record since, and `redact` masks the
    personal data in encoded JSON. Costs nothing where nothing was masked and the context says only who acts.
    """
    resource = request.resource
    is_cut = resource is not None and len(resource) > RESOURCE_KEPT_CHARS_MAX  # type: ignore[arg-type]  # a request judged first holds nothing masked
    if not redactions and not request.context and request.reached is None and not is_cut:
        return _NULL
    found: dict[str, object] = {}
    if request.context:
        found.update(_context_facts(compiled, request, redact))
    if redactions or is_cut:
        found.update(_answers(compiled, request, [redaction.path for redaction in redactions], is_cut=is_cut))
    if request.reached is not None:
        found[MCP] = request.reached
    return msgspec.json.encode(found) if found else _NULL


def _context_facts(compiled: CompiledPolicy, request: Request, redact: Redact) -> dict[str, object]:
    """Note what the bundle reads of the context beyond who acts, and whether there is more."""
    found: dict[str, object] = {}
    beyond = [key for key in request.context if key not in _RECORDED]
    odd = [key for key in _FIELDS if key in compiled.reads and not isinstance(getattr(request, key), (str, Masked, type(None)))]
    if not beyond and not odd:
        return found
    for key in (*odd, *(key for key in compiled.reads if _is_bare(key))):
        have = _context_value(request, key)
        if have is not None:
            found[key] = _seen(have)
    clean = msgspec.json.encode(found)
    redacted = redact(clean) if found else clean
    if redacted != clean or len(clean) > FACT_CHARS_MAX:
        masked = _decoded(redacted)
        for key, seen in found.items():
            found[key] = _noted(seen, masked.get(key, LOST), compiled.patterns(key))
    if any(key not in found for key in beyond):
        found[MORE] = True
    return found


def _context_value(request: Request, key: str) -> object:
    if key in IDENTITY:
        return getattr(request, key)
    return getter(key)(Request(request.actions, request.action_raw, context=request.context))


def _seen(have: object) -> object:
    """Return a value as rules see it: a scalar as it is, all else as its scalars and its elements."""
    if is_scalar(have) and not isinstance(have, (Several, Viewed)):
        return plain(have)
    seen = {name: [plain(each) for each in elements(have, is_deny=name == SCALARS)] for name in (SCALARS, ELEMENTS)}
    if max(map(len, seen.values())) > FACT_ITEMS_MAX:
        return {LOST: True}
    return {**seen, PARTIAL: True} if isinstance(have, (Several, Viewed)) and have.is_partial else seen


def _noted(seen: object, masked: object, tests: Sequence[Test]) -> object:
    """Put a masked text and the tests that held in the place of each scalar that was masked."""
    if isinstance(seen, dict):
        by_name: dict[str, Any] = masked if isinstance(masked, dict) else {}
        return {name: _noted_each(items, by_name.get(name), tests) if isinstance(items, list) else items for name, items in seen.items()}
    if masked == seen and not (isinstance(seen, str) and len(seen) > FACT_CHARS_MAX):
        return seen
    shown = masked if isinstance(masked, str) and masked != seen and len(masked) <= FACT_CHARS_MAX else HIDDEN
    return {MASKED: shown, HELD: _held(seen, tests)}


def _noted_each(items: list[object], masked: object, tests: Sequence[Test]) -> list[object]:
    listed = masked if isinstance(masked, list) and len(masked) == len(items) else [None] * len(items)
    return [_noted(item, one, tests) for item, one in zip(items, listed, strict=True)]


def _held(item: object, tests: Sequence[Test]) -> list[int]:
    answers = [(number, test.holds(item)) for number, test in enumerate(tests)]
    return [number if holds else -1 - number for number, holds in answers if holds is not False]


def _answers(compiled: CompiledPolicy, request: Request, paths: Sequence[str], *, is_cut: bool) -> dict[str, object]:
    """Note what the bundle's tests say of values that the record holds only masked."""
    found: dict[str, object] = {}
    if is_cut or "resource" in paths:
        found["resource"] = {HELD: _held(request.resource, compiled.patterns("resource"))}
    for key in compiled.reads - {"resource", "args.*"}:
        if _is_masked(key, paths) and not (_is_bare(key) and _context_value(request, key) is not None):
            have = getter(key)(request)
            if have is not None and not (key in IDENTITY and not isinstance(have, str)):  # such an identity is a context fact
                found[key] = _all_noted(have, compiled.patterns(key))
    for offer in offers(request) if "resource" in compiled.reads and request.args else ():
        if (offer.key in compiled.reads or "args.*" in compiled.reads) and _is_masked(offer.key, paths):
            found[OFFERS + offer.key.removeprefix("args.")] = _offer_noted(offer, compiled.patterns("resource"))
    return found


def _is_masked(key: str, paths: Sequence[str]) -> bool:
    """Tell whether something was masked at or below the place a key reads, or so that this cannot be told."""
    if key in IDENTITY:
        return key in paths
    field, _, rest = f"tags.{key}".partition(".") if _is_bare(key) else key.partition(".")
    at = f"{field}.{rest.partition('.')[0]}"
    return any(path in (field, at) or path.startswith((f'{field}["', f"{at}.", f"{at}[")) for path in paths)


def _all_noted(have: object, tests: Sequence[Test]) -> object:
    seen = _seen(have)
    if not isinstance(seen, dict):
        return {HELD: _held(seen, tests)}
    return {name: [{HELD: _held(item, tests)} for item in items] if isinstance(items, list) else items for name, items in seen.items()}


def _offer_noted(offer: Offer, tests: Sequence[Test]) -> object:
    if len(offer.scalars) > FACT_ITEMS_MAX:
        return {LOST: True}
    noted = [{HELD: _held(each, tests)} for each in offer.scalars]
    return {SCALARS: noted, ELEMENTS: noted if offer.elements else []}


def _is_bare(key: str) -> bool:
    return key != "resource" and key not in IDENTITY and not key.startswith(("args.", "tags."))


def request_of(decision: Decision, *, recorded_under: CompiledPolicy | None, is_landed: bool = False) -> Request:
    """Return the request that a recorded decision answered, as far as the record tells.

    `recorded_under` is the bundle its facts were noted under: the one of its `bundle_digest`, or without that the one that
    workers judged it by. `is_landed`: it comes from the ledger, which cuts a long resource.
    """
    facts, args, tags = _decoded(decision.facts), _decoded(decision.args), _decoded(decision.tags)
    resource = decision.resource if decision.resource_claimed else None
    is_cut = is_landed and resource is not None and len(resource) >= RESOURCE_KEPT_CHARS_MAX
    known = Request(
        (decision.action, MCP_CALL) if resource is not None and resource.startswith(MCP_SCHEME) else (decision.action,),
        decision.action_raw or decision.action,
        resource,
        decision.agent_id,
        decision.user_id,
        decision.user_group,
        decision.session_id,
        NOTHING,
        tags or NOTHING,
        args or NOTHING,
    )
    if not facts and not decision.redactions and not is_cut:
        return known
    return _in_part(known, decision, facts or {}, recorded_under, is_cut=is_cut)


def _in_part(known: Request, decision: Decision, facts: Any, recorded_under: CompiledPolicy | None, *, is_cut: bool) -> Request:
    """Return a request with `Masked` where its record holds masks, and what was noted of it."""
    has_more, reached = facts.pop(MORE, False) is True, facts.pop(MCP, None)
    noted = {key: _read(fact, _tests(key, recorded_under)) for key, fact in facts.items()}
    paths = {redaction.path for redaction in decision.redactions}
    masked = {key: value for key, value in noted.items() if isinstance(value, (Masked, Viewed))} | dict.fromkeys(paths, Masked())
    changes: dict[str, object] = {field: _around(getattr(known, field)) for field in _FIELDS if field in paths}
    changes |= {key: noted.pop(key) for key in _FIELDS if isinstance(noted.get(key), Viewed)}
    if is_cut or "resource" in paths:
        changes["resource"] = _around(known.resource, is_cut=is_cut)
    if "action" in paths:
        masked["action"] = Masked(tuple(MASK.split(known.actions[0])))
    for field in ("args", "tags"):
        if any(path.startswith(field) for path in paths):
            whole = getattr(known, field)
            changes[field] = {key: _opened(value) for key, value in whole.items()} if isinstance(whole, Mapping) else NOTHING
            if not isinstance(whole, Mapping) or any(map(MASK.search, whole)):
                masked[field] = Masked()
    if reached is not None:
        changes |= {"reached": reached, "actions": (known.actions[0], MCP_CALL)}
    return replace(
        known,
        **changes,
        context={key: noted.pop(key) for key, fact in facts.items() if _is_context(key, fact)},
        masked=masked,
        recorded=frozenset(facts) | (recorded_under.reads if recorded_under else frozenset()) if has_more else None,
        is_malformed=decision.reason_code == "malformed_request" and ("action" in masked or isinstance(changes.get("resource"), Masked)),
        facts=noted,
    )


def _is_context(key: str, fact: object) -> bool:
    """Tell facts of the context from the answers about masked values that are elsewhere in the record."""
    return _is_bare(key) and not key.startswith(OFFERS) and not (isinstance(fact, dict) and fact.keys() == {HELD})


def _tests(key: str, recorded_under: CompiledPolicy | None) -> Sequence[Test]:
    if recorded_under is None:
        return ()
    return recorded_under.patterns("resource" if key.startswith(OFFERS) else key)


def _read(fact: Any, tests: Sequence[Test]) -> object:
    """Return a recorded fact: a scalar, `Masked` with the tests that held, or `Viewed` as rules see it."""
    if not isinstance(fact, dict):
        return fact
    if SCALARS in fact and ELEMENTS in fact:
        seen = [tuple(_read(item, tests) for item in fact[name]) for name in (SCALARS, ELEMENTS)]
        return Viewed(seen[0], seen[1], is_partial=fact.get(PARTIAL) is True)
    held = [number for number in fact.get(HELD, ()) if -len(tests) <= number < len(tests)]
    return Masked(
        tuple(MASK.split(fact[MASKED])) if isinstance(fact.get(MASKED), str) else ("", ""),
        frozenset(tests[number].name for number in held if number >= 0),
        frozenset(test.name for test in tests) if HELD in fact else frozenset(),
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


def _opened(value: object) -> object:
    """Return a value with `Masked` for each text that holds a mask, and for each object whose keys do."""
    if isinstance(value, str):
        return _around(value)
    if isinstance(value, list):
        return [_opened(element) for element in value]
    if isinstance(value, dict):
        return Masked(is_object=True) if any(map(MASK.search, value)) else {key: _opened(element) for key, element in value.items()}
    return value


def _decoded(encoded: msgspec.Raw | bytes) -> Any:
    """Decode JSON that was admitted; the standard library reads the lone surrogates and huge numbers msgspec refuses."""
    if encoded == ABSENT:
        return None
    try:
        return msgspec.json.decode(encoded)
    except msgspec.DecodeError:
        return json.loads(bytes(encoded))
