"""Conditions compiled: for one key, a function from a request to yes, no, or None where something masked could decide.

A deny rule asks whether ANY scalar in a fact passes, another rule whether ALL its elements do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter, ge, gt, le, lt
from typing import Any

from msgspec import Struct

from controlzero.policy.canonical import EXACT_INT_MAX, canonical, is_json, scalars, text, too_deep
from controlzero.policy.globs import HOLE, Glob, any_matcher, glob, literal, matches_around
from controlzero.policy.model import KEY_SEGMENTS_MAX, Scalar, Wanted
from controlzero.policy.request import Masked, Request, Viewed

IDENTITY = {"agent_id": "agent_id", "agent_name": "agent_id", "user_id": "user_id", "user_group": "user_group", "session_id": "session_id"}
LISTS_NESTED_MAX = 64  # that a path goes through
Answer = bool | None
Getter = Callable[[Request], object]
NOT_THERE = object()  # a key noted as absent, where one that is masked now could be it
UNRECORDED = object()  # a key of which nothing was noted, not even whether it was there
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


class Test(Struct, frozen=True):
    """What one element is asked; `holds` is None where it cannot be compared.

    `name` is how facts name it: a glob's pattern, or `HOLE` and the JSON of an operator. `wanted` are the glob, or the
    literals of eq, in and not_in.
    """

    name: str
    holds: Callable[[object], bool | None]
    wanted: tuple[Glob, ...] = ()
    is_negated: bool = False


class Condition(Struct, frozen=True):
    """What a rule asks of one key: `presence` (None: not asked), and any of `alternatives`, each of them whole.

    `answer` is the fast way to the answer where nothing is masked; `answer_of` is the whole one.
    """

    key: str
    is_deny: bool
    get: Getter
    answer: Callable[[Request], Answer]
    presence: bool | None = None
    alternatives: tuple[tuple[Test, ...], ...] = ()
    is_quick: bool = False  # it is globs and nothing else


class Several(Struct, frozen=True):
    """The values a path led to where they are several; `is_partial` where an element of a list on the way lacks it."""

    values: tuple[object, ...]
    is_partial: bool


def compile_condition(key: str, wanted: Wanted, *, is_deny: bool) -> Condition:
    """Compile what a rule wants of a key."""
    key = IDENTITY.get(key, key)
    get = getter(key)
    if isinstance(wanted, Mapping):
        return _with_operators(key, wanted, is_deny=is_deny)
    tests = [glob_test(text(each)) for each in (wanted if isinstance(wanted, tuple) else (wanted,))]
    passes = any_matcher([test.wanted[0] for test in tests])
    alternatives = tuple((test,) for test in tests)

    def quick(request: Request) -> Answer:
        have = get(request)
        if have.__class__ is str:
            return passes(have)
        return False if have is None else of_value(condition, have)

    condition = Condition(key, is_deny, get, quick, None, alternatives, is_quick=True)
    return condition


def _with_operators(key: str, wanted: Mapping[str, Scalar | tuple[Scalar, ...]], *, is_deny: bool) -> Condition:
    presences = {(operator == "exists") is bool(value) for operator, value in wanted.items() if operator in ("exists", "not_exists")}
    tests = tuple(operator_test(operator, value) for operator, value in wanted.items() if operator not in ("exists", "not_exists"))
    get = getter(key)
    if presences == {True, False} or (tests and False in presences):
        return Condition(key, is_deny, get, lambda _: False)  # there and not there: never
    presence = None if tests or not presences else presences.pop()
    condition = Condition(key, is_deny, get, lambda request: of_value(condition, get(request)), presence, (tests,))
    return condition


def answer_of(condition: Condition, request: Request) -> Answer:
    """Answer a condition from all that is known: what was noted of a masked value first, then the value itself."""
    noted = request.facts.get(condition.key)
    if noted is NOT_THERE:
        return of_value(condition, None)
    if noted is not None:
        holds = of_value(condition, noted)
        if holds is not None:
            return holds
    have = condition.get(request)
    if have is None and request.masked and condition.key not in IDENTITY:
        field = condition.key.partition(".")[0]
        if (field if field == "args" else "tags") in request.masked:
            return None  # its key may be a masked one
    return of_value(condition, have)


def of_value(condition: Condition, have: object) -> Answer:
    """Answer a condition about a value; None is an absent key, and matches only `not_exists`."""
    if not condition.alternatives:
        return False
    if have is UNRECORDED:
        return None
    is_deny = condition.is_deny
    is_partial = isinstance(have, (Several, Viewed)) and have.is_partial
    if condition.presence is not None:
        if isinstance(have, Masked) and have.is_object:
            return None
        return is_deny if is_partial else (have is not None) is condition.presence
    if have is None or (is_partial and not is_deny):
        return False
    return quantified((_passes(condition, element) for element in elements(have, is_deny=is_deny)), is_deny=is_deny)


def quantified(answers: Iterable[Answer], *, is_deny: bool) -> Answer:
    """Return whether any (for a deny rule), or all of at least one (for another), are so; None where that depends."""
    is_seen = is_unknown = False
    for each in answers:
        is_seen = True
        if each is None:
            is_unknown = True
        elif each is is_deny:
            return is_deny
    return None if is_unknown else is_seen and not is_deny


def elements(have: object, *, is_deny: bool) -> Iterator[object]:
    """Yield what a rule sees of a value: a deny rule every scalar however nested, another the elements of a list."""
    if isinstance(have, Several):
        return chain.from_iterable(elements(value, is_deny=is_deny) for value in have.values)
    if isinstance(have, Viewed):
        return iter(have.scalars if is_deny else have.elements)
    if is_deny:
        return scalars(have)
    return map(_as_known, have) if isinstance(have, (list, tuple)) else iter((_as_known(have),))


def _as_known(value: object) -> object:
    """Return a list or an object in which something is masked as what is known of its text; all else as it is."""
    if not isinstance(value, (list, tuple, Mapping)):
        return value
    pieces = canonical(_with_holes(value)).split(_HOLE_IN_JSON)
    return value if len(pieces) == 1 else Masked(tuple(pieces))


def _passes(condition: Condition, element: object) -> Answer:
    is_unknown = False
    for tests in condition.alternatives:
        answers = [test_answer(test, element, is_deny=condition.is_deny) for test in tests]
        if False in answers:
            continue
        if None not in answers:
            return True
        is_unknown = True
    return None if is_unknown else False


def test_answer(test: Test, element: object, *, is_deny: bool) -> Answer:
    """Ask one element; what cannot be compared passes with a deny and no other rule."""
    if not isinstance(element, Masked):
        holds = test.holds(element)
        return is_deny if holds is None else holds
    if element.is_object and is_deny:  # it may hold any number of scalars, or none
        return None
    if test.name in element.recorded:
        return is_deny if test.name in element.undecided else test.name in element.holds
    if test.name in element.holds:
        return True
    if not test.wanted:
        return None
    answers = [matches_around(wanted, element.pieces) for wanted in test.wanted]
    found = True if True in answers else None if None in answers else False
    return found if found is None else found is not test.is_negated


def glob_test(pattern: str) -> Test:
    """Return the test that a glob is."""
    wanted = glob(pattern)
    passes = any_matcher([wanted])
    return Test(pattern, lambda element: passes(text(element)), (wanted,))


def operator_test(operator: str, value: Scalar | tuple[Scalar, ...]) -> Test:
    """Return the test that an operator other than exists and not_exists is."""
    name = HOLE + canonical({operator: value})
    if operator in _ORDER:
        order = _ORDER[operator]
        return Test(name, lambda element: order(_rank(element), _rank(value)) if _comparable(element, value) else None)
    literals = frozenset(text(each) for each in (value if isinstance(value, tuple) else (value,)))
    is_negated = operator == "not_in"
    return Test(name, lambda element: (text(element) in literals) is not is_negated, tuple(map(literal, sorted(literals))), is_negated)


def _comparable(element: object, bound: object) -> bool:
    if isinstance(element, bool) or not is_json(element):
        return False
    return isinstance(element, str) if isinstance(bound, str) else isinstance(element, (int, float))


def _rank(value: object) -> object:
    """Compare large integers as the doubles that other languages read them as."""
    return float(value) if isinstance(value, int) and abs(value) > EXACT_INT_MAX else value


def getter(key: str) -> Getter:
    """Return how a key's value is got: identity from the client, `args.` and `tags.` by path, else context, then tags."""
    if key in IDENTITY:
        return attrgetter(IDENTITY[key])
    for prefix in ("args", "tags"):
        if key.startswith(f"{prefix}."):
            return _getter_in(prefix, key[len(prefix) + 1 :])
    in_context, in_tags = _getter_in("context", key), _getter_in("tags", key)

    def from_context(request: Request) -> object:
        have = in_context(request)
        if have is None:
            if request.recorded is not None and key not in request.recorded:
                return UNRECORDED
            return in_tags(request)
        return have

    return from_context


def _getter_in(field: str, path: str) -> Getter:
    segments = path.split(".")
    if len(segments) > 1:
        get_mapping = attrgetter(field)
        return lambda request: follow(get_mapping(request), segments)
    if field == "args":
        return lambda request: request.args.get(path)
    if field == "tags":
        return lambda request: request.tags.get(path)
    return lambda request: request.context.get(path)


def follow(value: object, segments: Sequence[str]) -> object:
    """Return what a path leads to, through lists to each element: a value, `Several`, or None.

    A key that holds a dot is another way to read a path; all ways count, so that adding one hides nothing.
    """
    found: list[object] = []
    is_partial = not _collect(value, segments[:KEY_SEGMENTS_MAX], found, 0)
    if not found:
        return None
    return found[0] if len(found) == 1 and not is_partial else Several(tuple(found), is_partial)


def _collect(value: object, segments: Sequence[str], found: list[object], depth: int) -> bool:
    """Append what the path leads to; tell whether every element of each list on the way has it."""
    if not segments:
        if value is not None:
            found.append(value)
        return value is not None
    if isinstance(value, Mapping):
        ways = ((".".join(segments[:taken]), segments[taken:]) for taken in range(1, len(segments) + 1))
        led = [_collect(value[key], rest, found, depth) for key, rest in ways if value.get(key) is not None]
        return any(led)
    if isinstance(value, Masked) and value.is_object:
        found.append(value)
        return True
    if isinstance(value, (list, tuple)):
        if depth >= LISTS_NESTED_MAX:
            raise too_deep()
        led = [_collect(element, segments, found, depth + 1) for element in value]
        return all(led)
    return False


_HOLE_IN_JSON = canonical(HOLE)


def _with_holes(value: object, depth: int = 0) -> object:
    if isinstance(value, Masked):
        return HOLE
    if depth > LISTS_NESTED_MAX * 4:
        raise too_deep()
    if isinstance(value, Mapping):
        return {key: _with_holes(element, depth + 1) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_holes(element, depth + 1) for element in value]
    return value
