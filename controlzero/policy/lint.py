"""What a policy says that its writer can hardly mean: valid, so never refused, but worth a second look."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from msgspec.structs import replace

from controlzero.errors import Problem
from controlzero.policy.decode import line_at, lines
from controlzero.policy.evaluate import CompiledPolicy, CompiledRule
from controlzero.policy.globs import HOLE, Matcher, any_matcher
from controlzero.policy.model import Policy, Scalar, Wanted

COMPARED_MAX = 3_000_000  # patterns held against those of earlier rules: under a second; past it later rules are not looked at
_LIKE_A_WILDCARD = re.compile(r"\?(?!\w+=)|\[[^\[\]]+\]")


def lint(policies: Policy | Iterable[Policy]) -> tuple[Problem, ...]:
    """Return warnings about policies, which in their order are one bundle; each has the path of what it is about.

    A rule is said never to decide only where that is certain: an earlier rule without conditions matches all it matches,
    or its own conditions cannot hold. Of several policies, a path begins with the policy's name (`payments: rules[3]`).
    """
    compiled = CompiledPolicy([policies] if isinstance(policies, Policy) else policies)
    paths = paths_of(compiled.policies)
    silent = silent_rules(compiled.rules, paths)
    closed = not _lets_anything_through(compiled.rules, silent)
    warnings = [Problem("", "denies everything; no rule lets anything through: add one with `effect: allow`")] if closed else []
    for rule, path in zip(compiled.rules, paths, strict=True):
        warnings += [Problem(path, silent[rule.place])] if rule.place in silent else []
        warnings += _doubts(rule, path)
    return (*warnings, *_repeated_ids(compiled.rules, paths))


def located(problems: Iterable[Problem], source: str | bytes) -> tuple[Problem, ...]:
    """Return problems of the one policy that a text says, each with its line in it."""
    known = lines(source)
    return tuple(replace(problem, line=line_at(known, problem.path)) for problem in problems)


def denies_everything(policies: Policy | Iterable[Policy]) -> bool:
    """Tell whether it is certain that no rule lets anything through."""
    compiled = CompiledPolicy([policies] if isinstance(policies, Policy) else policies)
    return not _lets_anything_through(compiled.rules, silent_rules(compiled.rules, paths_of(compiled.policies)))


def _lets_anything_through(rules: Sequence[CompiledRule], silent: Mapping[int, str]) -> bool:
    return any((not rule.is_deny or rule.mode == "log-only") and rule.place not in silent for rule in rules)


def paths_of(policies: Sequence[Policy]) -> list[str]:
    """Return the path of each rule of a bundle: of several policies it begins with the policy's name."""
    several = len(policies) > 1
    return [f"{policy.name}: rules[{n}]" if several else f"rules[{n}]" for policy in policies for n in range(len(policy.rules))]


def silent_rules(rules: Sequence[CompiledRule], paths: Sequence[str]) -> dict[int, str]:
    """Return the places of the rules that can never decide, each with why."""
    silent: dict[int, str] = {}
    for rule in rules:
        never = [key for key, wanted in rule.rule.conditions.items() if _never_holds(wanted, is_deny=rule.is_deny)]
        if never:
            silent[rule.place] = f"can never decide; its condition on `{never[0]}` cannot hold: mend it, or remove the rule"
    for place, earlier in _covered(rules):
        by = " and ".join(f"`{paths[each]}` ({rules[each].effect})" for each in earlier[:3])
        match = "matches" if len(earlier) == 1 else "together match"
        told = f"can never decide; {by} before it, without conditions, {match} all it matches: move it up, or remove it"
        silent.setdefault(place, told)
    return silent


def _covered(rules: Sequence[CompiledRule]) -> Iterator[tuple[int, list[int]]]:
    """Yield each rule of which every action, on all its resources, is an earlier rule's without conditions; and those rules."""
    literals: dict[str, list[tuple[CompiledRule, Matcher]]] = {}
    others: list[tuple[CompiledRule, Matcher]] = []
    compared = 0
    for rule in rules:
        by: list[int] = []
        for action in rule.action_globs:
            earlier = [*literals.get(action.pattern, ()), *others]
            compared += len(earlier) * len(rule.resources.globs)
            if compared > COMPARED_MAX:
                return
            text = _as_text(action.pattern)
            found = next((one.place for one, passes in earlier if passes(text) and _covers_resources(one, rule)), None)
            if found is None:
                break
            by.append(found)
        else:
            yield rule.place, sorted(set(by))
        if not rule.conditions:
            entry = (rule, any_matcher(rule.action_globs))
            for action in rule.action_globs:
                literals.setdefault(action.pattern, []).append(entry) if action.is_literal else None
            if not all(action.is_literal for action in rule.action_globs):
                others.append(entry)


def _covers_resources(earlier: CompiledRule, rule: CompiledRule) -> bool:
    """Tell whether on whatever resources `rule` matches, `earlier` does: a deny rule sees more of a call than another."""
    if earlier.resources.everything or rule.resources.everything:
        return earlier.resources.everything
    if rule.is_deny and not earlier.is_deny:
        return False
    return all(earlier.resources.passes(_as_text(each.pattern)) for each in rule.resources.globs)


def _as_text(pattern: str) -> str:
    """Return a text that another pattern matches only where it matches all that `pattern` does."""
    return pattern.replace("*", HOLE)


def _never_holds(wanted: Wanted, *, is_deny: bool) -> bool:
    if not isinstance(wanted, Mapping):
        return False
    presences = {(operator == "exists") is wanted[operator] for operator in ("exists", "not_exists") if operator in wanted}
    if presences == {True, False} or (False in presences and wanted.keys() - {"exists", "not_exists"}):
        return True
    return not is_deny and _is_empty_range(wanted)  # what cannot be compared matches a deny


def _is_empty_range(wanted: Mapping[str, Scalar | tuple[Scalar, ...]]) -> bool:
    for lower, upper in product(("gt", "gte"), ("lt", "lte")):
        low, high = wanted.get(lower), wanted.get(upper)
        if low is None or high is None or isinstance(low, str) is not isinstance(high, str):
            continue
        if low > high or (low == high and (lower, upper) != ("gte", "lte")):  # type: ignore[operator]  # two numbers, or two texts
            return True
    return False


def _doubts(rule: CompiledRule, path: str) -> Iterator[Problem]:
    """Yield what in a rule may be meant otherwise."""
    for field, patterns in (("action", rule.rule.action), ("resource", rule.rule.resource)):
        yield from _taken_literally(patterns, f"{path}.{field}")
    for key, wanted in rule.rule.conditions.items():
        at = f"{path}.conditions.{key}"
        if not isinstance(wanted, Mapping):
            yield from _taken_literally(_several(wanted), at)
            continue
        if rule.is_deny and _is_empty_range(wanted):
            yield Problem(at, "nothing is within these bounds, so only what cannot be compared is denied; swap them")
        for operator in ("eq", "in", "not_in"):
            operand = wanted.get(operator, ())
            if any(isinstance(each, str) and "*" in each and each != "*" for each in _several(operand)):
                yield Problem(f"{at}.{operator}", "`*` stands for itself here; write a pattern without an operator")


def _taken_literally(patterns: Sequence[Scalar], at: str) -> Iterator[Problem]:
    for place, pattern in enumerate(patterns):
        found = isinstance(pattern, str) and "://" not in pattern and _LIKE_A_WILDCARD.search(pattern)
        if found:
            told = f"`{found[0]}` stands for itself; `*` is the only wildcard: list the texts that are meant"
            yield Problem(f"{at}[{place}]" if len(patterns) > 1 else at, told)


def _repeated_ids(rules: Sequence[CompiledRule], paths: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for rule in rules:
        place = first.setdefault(rule.rule_id, rule.place)
        if place != rule.place:
            told = f"`{rule.rule_id}` is the id of `{paths[place]}` too; counts by rule cannot tell them apart: give each its own"
            yield Problem(f"{paths[rule.place]}.id", told)


def _several(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)
