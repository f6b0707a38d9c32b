"""What the order of rules decides, each time with a call that shows it: made up here, and judged by the evaluator before it is told."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from controlzero.errors import Problem
from controlzero.policy.canonical import text
from controlzero.policy.conditions import IDENTITY, answer_of
from controlzero.policy.evaluate import CompiledPolicy, CompiledRule
from controlzero.policy.globs import Glob, glob, matches
from controlzero.policy.lint import lint, located, paths_of, silent_rules
from controlzero.policy.model import Policy, Scalar, Wanted
from controlzero.policy.request import Request, request_for_enforce
from controlzero.records import Verdict

WORK_MAX = 400_000  # steps of looking for examples, about two seconds; past it later rules are not looked at
VALUES_MAX = 24  # tried for a condition
LISTED_MAX = 8  # patterns of a condition that are held against those of another rule
VALUE_WORK = 10  # that trying one is worth
NAMED_MAX = 3  # of the earlier rules that a remark names
ORDERING = ("gt", "gte", "lt", "lte")
_FILLER = "x"
_MISSING = object()


class Call(Struct, frozen=True, omit_defaults=True):
    """A call as a test of a policy says it: what `enforce` is given."""

    action: str
    resource: str | None = None
    context: Mapping[str, object] = {}
    args: Mapping[str, object] = {}
    tags: Mapping[str, object] = {}


class Shown(Struct, frozen=True):
    """A call and what the policy says of it: the verdict, and the path of the rule that decides."""

    call: Call
    verdict: Verdict
    rule: str


class Remark(Struct, frozen=True, kw_only=True):
    """What is said of a policy: a `warning` is most likely a mistake, a `note` is how its order works."""

    kind: Literal["warning", "note"]
    problem: Problem
    example: Shown | None = None


def remarks(policies: Policy | Iterable[Policy]) -> tuple[Remark, ...]:
    """Return what `lint` warns of, a rule that can never decide with a call that it would have decided; then the rules that order decides.

    A note is about a rule and those before it that match some of the same calls and say something else: its example is decided by
    the earlier one, and would be by this rule were it moved before that. No claim is made without an example that was judged.
    """
    compiled = CompiledPolicy([policies] if isinstance(policies, Policy) else policies)
    paths = paths_of(compiled.policies)
    places = {path: place for place, path in enumerate(paths)}
    silent = silent_rules(compiled.rules, paths)
    told = [Remark(kind="warning", problem=problem, example=_lost(problem, compiled, paths, silent, places)) for problem in lint(policies)]
    return (*told, *_order(compiled, paths, silent))


def remarks_on(source: str, policies: Policy | Iterable[Policy]) -> tuple[Remark, ...]:
    """Return the remarks on the policies that a text says, each with its line in it."""
    found = remarks(policies)
    problems = located((remark.problem for remark in found), source)
    return tuple(replace(remark, problem=problem) for remark, problem in zip(found, problems, strict=True))


def _lost(
    problem: Problem, compiled: CompiledPolicy, paths: Sequence[str], silent: Mapping[int, str], places: Mapping[str, int]
) -> Shown | None:
    """Return a call that a rule would decide, if it were not for those before it."""
    place = places.get(problem.path)
    if place is None or silent.get(place) != problem.message:
        return None
    call = _Maker().call(compiled.rules[place], compiled.rules[place])
    return None if call is None or not _meets(_alone(compiled.rules[place]), call) else _shown(call, compiled, paths)


def _order(compiled: CompiledPolicy, paths: Sequence[str], silent: Mapping[int, str]) -> Iterator[Remark]:
    rules = compiled.rules
    maker = _Maker()
    for later in rules:
        if later.place in silent:
            continue
        alone = _alone(later)
        found: dict[int, Shown] = {}
        for earlier in rules[: later.place]:
            if earlier.effect == later.effect or earlier.place in silent or earlier.place in found:
                continue
            call = maker.call(earlier, later)
            if maker.left < 0:
                return
            if call is None or not _meets(alone, call):
                continue
            decided = compiled.judge(_request(call)).rule
            if decided is not None and decided < later.place and rules[decided].effect != later.effect:
                found.setdefault(decided, Shown(call, rules[decided].effect, paths[decided]))
        if found:
            yield _note(later, found, rules, paths)


def _note(later: CompiledRule, found: Mapping[int, Shown], rules: Sequence[CompiledRule], paths: Sequence[str]) -> Remark:
    named = [f"`{paths[place]}` ({rules[place].effect})" for place in sorted(found)]
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    first = found[min(found)]
    told = (
        f"order decides; {', '.join(named[:NAMED_MAX])}{more} before it "
        f"{'matches' if len(named) == 1 else 'match'} some of what this rule ({later.effect}) matches: keep them in this order, or move it up"
    )
    return Remark(kind="note", problem=Problem(paths[later.place], told), example=first)


def _shown(call: Call, compiled: CompiledPolicy, paths: Sequence[str]) -> Shown | None:
    said = compiled.judge(_request(call))
    return None if said.rule is None else Shown(call, compiled.rules[said.rule].effect, paths[said.rule])


def _alone(rule: CompiledRule) -> CompiledPolicy:
    """Return a rule as a policy of its own: what that decides, the rule matches."""
    return CompiledPolicy([Policy(name="alone", rules=(rule.rule,))])


def _meets(alone: CompiledPolicy, call: Call) -> bool:
    return alone.judge(_request(call)).rule is not None


def _request(call: Call) -> Request:
    return request_for_enforce(call.action, resource=call.resource, context=call.context, args=call.args, tags=call.tags)


class _Maker:
    """Makes up calls that two rules match; `left` is the work it may still do."""

    def __init__(self) -> None:
        self.left = WORK_MAX

    def call(self, one: CompiledRule, other: CompiledRule) -> Call | None:
        """Return a call that both rules should match, None where none is found; the evaluator has the last word."""
        action = self._text(one.action_globs, other.action_globs)
        if action is None:
            return None
        asked = [each for each in (one, other) if not each.resources.everything]
        resource = self._text(asked[0].resources.globs, asked[-1].resources.globs) if asked else None
        if asked and resource is None:
            return None
        facts: dict[str, dict[str, object]] = {"context": {}, "args": {}, "tags": {}}
        for key in dict.fromkeys(condition.key for condition in (*one.conditions, *other.conditions)):
            value = self._value(key, one, other)
            if value is None:
                return None
            if value[0] is not _MISSING:
                _put(facts, key, value[0])
        return Call(action, resource, **facts)

    def _value(self, key: str, one: CompiledRule, other: CompiledRule) -> tuple[object] | None:
        """Return a value of a key (`_MISSING`: none) under which what both rules want of it holds."""
        asked = [condition for condition in (*one.conditions, *other.conditions) if condition.key == key]
        wanted = [said for rule in (one, other) for name, said in rule.rule.conditions.items() if IDENTITY.get(name, name) == key]
        for value in (_MISSING, *self._values(wanted)):
            self.left -= VALUE_WORK
            facts: dict[str, dict[str, object]] = {"context": {}, "args": {}, "tags": {}}
            if value is not _MISSING:
                _put(facts, key, value)
            request = _request(Call(_FILLER, None, **facts))
            if all(answer_of(condition, request) for condition in asked):
                return (value,)
        return None

    def _values(self, wanted: Sequence[Wanted]) -> Iterator[object]:
        """Yield values that may be wanted, at most `VALUES_MAX`."""
        operators = [each for each in wanted if isinstance(each, Mapping)]
        plain = [_several(said) for said in wanted if not isinstance(said, Mapping)]
        literals = [each for said in operators for name in ("eq", "in") if name in said for each in _several(said[name])]
        ordered = [each for said in operators for name in ORDERING if name in said for each in _several(said[name])]
        bounds = [_beside(each, step) for each in ordered for step in (0, 1, -1)]
        globs = [[glob(text(each)) for each in said[:LISTED_MAX]] for said in (plain[0], plain[-1])] if plain else [[], []]
        both = (found for one, other in product(*globs) if (found := self._common(one, other)) is not None)
        yield from islice((*literals, *bounds, *islice(both, 4), _FILLER, 1, True), VALUES_MAX)

    def _text(self, ones: Sequence[Glob], others: Sequence[Glob]) -> str | None:
        """Return a text that some pattern of each side matches."""
        return next((found for one, other in product(ones, others) if (found := self._common(one, other)) is not None), None)

    def _common(self, one: Glob, other: Glob) -> str | None:
        """Return a text that both patterns match, one a person would write where that can be; None where there is none."""
        self.left -= 1
        if self.left < 0:
            return None
        for literal, wanted in ((one, other), (other, one)):
            if literal.is_literal:
                return literal.pattern if matches(wanted, literal.pattern) else None
        found = self._shortest(one.pattern, other.pattern)
        if found is None or found[-1:].isalnum():
            return found
        filled, beside = (each.pattern.replace("*", f"{_FILLER}*") for each in (one, other))  # something for each star
        longer = (self._shortest(*pair) for pair in ((filled, beside), (filled, other.pattern), (one.pattern, beside)))
        return next((text for text in longer if text is not None), found)

    def _shortest(self, one: str, other: str) -> str | None:
        """Return the shortest text that both patterns match: a search through the product of the two as automata, breadth first."""
        waiting: deque[tuple[int, int, str]] = deque([(0, 0, "")])
        seen = {(0, 0)}
        while waiting and self.left >= 0:
            at, beside, text = waiting.popleft()
            self.left -= 1 + len(text) // 4
            if at == len(one) and beside == len(other):
                return text
            a, b = one[at : at + 1], other[beside : beside + 1]
            steps = []
            if a == "*":
                steps += [(at + 1, beside, "")] + ([(at, beside + 1, b)] if b not in ("", "*") else [])
            if b == "*":
                steps += [(at, beside + 1, "")] + ([(at + 1, beside, a)] if a not in ("", "*") else [])
            if a == b and a not in ("", "*"):
                steps.append((at + 1, beside + 1, a))
            for next_at, next_beside, taken in steps:
                if (next_at, next_beside) not in seen:
                    seen.add((next_at, next_beside))
                    waiting.append((next_at, next_beside, text + taken))
        return None


def _several(said: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return said if isinstance(said, tuple) else (said,)


def _beside(bound: Scalar, step: int) -> Scalar:
    if isinstance(bound, str):
        return bound + _FILLER if step > 0 else bound[:-1] if step < 0 else bound
    return bound + step


def _put(facts: Mapping[str, dict[str, object]], key: str, value: object) -> None:
    place, segments = facts["context"], key.split(".")
    if segments[0] in ("args", "tags") and len(segments) > 1:
        place, segments = facts[segments[0]], segments[1:]
    for segment in segments[:-1]:
        inner = place.setdefault(segment, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place.setdefault(segments[-1], value)
