"""A policy from text or decoded values: every problem at once, each with its path and, where one is near, what was meant."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import get_args

import msgspec

from controlzero.errors import PolicyError, Problem
from controlzero.policy.canonical import EXACT_INT_MAX, is_json, is_scalar
from controlzero.policy.canonical import canonical as canonical_json
from controlzero.policy.decode import decode, line_at, lines
from controlzero.policy.globs import HOLE
from controlzero.policy.model import (
    CONDITIONS_MAX,
    DESCRIPTION_CHARS_MAX,
    KEY_CHARS_MAX,
    KEY_SEGMENTS_MAX,
    NAME_CHARS_MAX,
    PATTERN_CHARS_MAX,
    PATTERNS_MAX,
    REASON_CHARS_MAX,
    RULES_MAX,
    Operator,
    Policy,
    Rule,
    RuleMode,
    Scalar,
    Wanted,
)
from controlzero.policy.undecodable import Undecodable
from controlzero.records import Verdict

Source = str | bytes | Mapping[str, object] | list[object]
POLICY_FIELDS = ("name", "description", "rules")
RULE_FIELDS = ("id", "effect", "action", "resource", "conditions", "reason", "mode")
MODES: tuple[RuleMode, ...] = get_args(RuleMode)
EFFECTS: tuple[Verdict, ...] = get_args(Verdict)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
PROBLEMS_MAX = 100  # a person mends a screenful at a time
ORDERING = ("gt", "gte", "lt", "lte")
_MEANT = {
    **dict.fromkeys(("block", "forbid", "reject"), "deny"),
    **dict.fromkeys(("permit", "accept"), "allow"),
    **dict.fromkeys(("log", "monitor"), "audit"),
    **dict.fromkeys(("when", "if"), "conditions"),
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "!=": "not_in",
    "nin": "not_in",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
}
RESERVED_KEYS = ("args", "tags")  # what is below them is read, never all of them
RESOURCE = "resource"
NOTED = "@"  # begins what is noted beside the facts
NAMESPACES = {"arg": "args", "argument": "args", "arguments": "args", "tag": "tags", "context": ""}


def parse(source: Source, *, name: str = "policy") -> Policy:
    """Return the policy that a JSON or YAML text, or an already decoded object, says; a bare list is its rules.

    `name` is its name where it gives none. Raises `PolicyError` with every problem at once.
    """
    try:
        value = decode(source) if isinstance(source, (str, bytes)) else source
    except Undecodable as error:
        raise PolicyError(name, error.problems) from None  # they say where it is; how a parser got there helps nobody
    if isinstance(value, list):
        value = {"rules": value}
    checked = _Checked(value.get("name") if isinstance(value, Mapping) else None, name, source)
    try:
        policy = checked.policy(value)
    except _Enough:
        checked.problems.append(Problem("", f"and more; only the first {PROBLEMS_MAX} problems are told"))
    if checked.problems:
        raise PolicyError(checked.name, checked.problems)
    return policy


def parse_all(sources: Iterable[Policy | Source], *, name: str = "policy") -> tuple[Policy, ...]:
    """Return several policies, parsed or not, that are one bundle in this order; `name` is for those that give themselves none.

    Raises `PolicyError` where two have one name: decisions could not tell their rules apart.
    """
    policies = tuple(source if isinstance(source, Policy) else parse(source, name=name) for source in sources)
    first: dict[str, int] = {}
    repeated = [
        Problem(f"policies[{place}].name", f"`{policy.name}` is the name of `policies[{first[policy.name]}]` too; give each its own")
        for place, policy in enumerate(policies)
        if first.setdefault(policy.name, place) != place
    ]
    if repeated:
        raise PolicyError("bundle", repeated)
    return policies


def load(path: Path | str) -> Policy:
    """Return the policy in a file, named for the file where it gives no name itself. Raises `PolicyError`, `OSError`."""
    path = Path(path)
    return parse(path.read_bytes(), name=path.stem)


def canonical(policy: Policy) -> bytes:
    """Return a policy as canonical JSON (RFC 8785): the same policy gives the same bytes, in any language."""
    return canonical_json(as_json(policy)).encode()


def policy_digest(policies: Policy | Iterable[Policy]) -> str:
    """Return the SHA-256 (hex) over policies in their order."""
    several = [policies] if isinstance(policies, Policy) else policies
    return hashlib.sha256(canonical_json([as_json(policy) for policy in several]).encode()).hexdigest()


def as_json(policy: Policy) -> dict[str, object]:
    """Return a policy as JSON values, without what it does not say; `parse` of it is the same policy."""
    members: dict[str, object] = {"name": policy.name, "rules": [_rule_as_json(rule) for rule in policy.rules]}
    return members if policy.description is None else {**members, "description": policy.description}


def _rule_as_json(rule: Rule) -> dict[str, object]:
    said: dict[str, object] = {key: value for key, value in msgspec.to_builtins(rule).items() if value is not None}
    for key, patterns in (("action", rule.action), ("resource", rule.resource)):
        said[key] = patterns[0] if len(patterns) == 1 else list(patterns)
    if not rule.conditions:
        del said["conditions"]
    return said


class _Enough(Exception):  # noqa: N818 - no error: the policy is refused already
    """So much is wrong that looking further helps nobody."""


class _Checked:
    """Collects the problems of one policy while its parts are read."""

    def __init__(self, own_name: object, name: str, source: Source) -> None:
        self.name = own_name if isinstance(own_name, str) and own_name.strip() else name
        self.source = source
        self.problems: list[Problem] = []

    @cached_property
    def lines(self) -> Mapping[str, int]:
        """The lines of a text's values: found only once something is wrong."""
        return lines(self.source) if isinstance(self.source, (str, bytes)) else {}

    def problem(self, path: str, message: str, *, member: object = None) -> None:
        if len(self.problems) >= PROBLEMS_MAX:
            raise _Enough
        at = path if member is None else f"{path}.{member}".lstrip(".")
        self.problems.append(Problem(path, message, line_at(self.lines, at)))

    def policy(self, value: object) -> Policy:
        """Read a whole policy."""
        if not isinstance(value, Mapping):
            self.problem("", f"expected an object with `rules`, got {_kind(value)}")
            return Policy(name=self.name, rules=())
        self.fields(value, POLICY_FIELDS, "")
        if value.get("name") is not None:
            self.text(value["name"], "name", NAME_CHARS_MAX)
        description = value.get("description")
        if description is not None:
            self.text(description, "description", DESCRIPTION_CHARS_MAX, is_line=False)
        rules = value.get("rules")
        if not isinstance(rules, (list, tuple)):
            self.problem("rules", f"expected a list of rules, got {_kind(rules) if 'rules' in value else 'nothing'}")
            rules = []
        if len(rules) > RULES_MAX:
            self.problem("rules", f"{len(rules):,} rules, of which a policy may have {RULES_MAX:,}; split it")
            rules = []
        read = [self.rule(rule, f"rules[{place}]") for place, rule in enumerate(rules)]
        self.unique_ids(read)
        return Policy(name=self.name, description=description, rules=tuple(rule for rule in read if rule is not None))

    def unique_ids(self, rules: Sequence[Rule | None]) -> None:
        first: dict[str, int] = {}
        for place, rule in enumerate(rules):
            if rule is not None and rule.id is not None and first.setdefault(rule.id, place) != place:
                self.problem(f"rules[{place}].id", f"id `{rule.id}` is that of `rules[{first[rule.id]}]` too; give each rule its own")

    def rule(self, value: object, path: str) -> Rule | None:
        """Read one rule; None where it has problems."""
        known = len(self.problems)
        if not isinstance(value, Mapping):
            self.problem(path, f"expected a rule (an object with `effect` and `action`), got {_kind(value)}")
            return None
        self.fields(value, RULE_FIELDS, path)
        effect = value.get("effect")
        if effect not in EFFECTS:
            self.problem(f"{path}.effect", f"expected one of {_listed(EFFECTS)}, got {_shown(effect)}{_meant(effect, EFFECTS)}")
        action = self.patterns(value.get("action"), f"{path}.action", is_named=True)
        resource = ("*",) if value.get("resource") is None else self.patterns(value["resource"], f"{path}.resource", is_named=True)
        conditions = self.conditions(value.get("conditions"), f"{path}.conditions")
        for field, chars_max in (("id", NAME_CHARS_MAX), ("reason", REASON_CHARS_MAX)):
            if value.get(field) is not None:
                self.text(value[field], f"{path}.{field}", chars_max, is_line=field == "id")
        mode = value.get("mode")
        if mode is not None and mode not in MODES:
            self.problem(
                f"{path}.mode", f"expected {_listed(MODES)} or nothing, got {_shown(mode)}; a rule follows its project's mode else"
            )
        if len(self.problems) > known:
            return None
        return Rule(
            effect=effect,  # type: ignore[arg-type]  # checked above
            action=action,
            resource=resource,
            conditions=conditions,
            id=value.get("id"),
            reason=value.get("reason"),
            mode=mode,
        )

    def fields(self, value: Mapping[str, object], known: Sequence[str], path: str) -> None:
        for key in value:
            if key not in known:
                self.problem(path, f"unknown field `{key}`; {_near(key, known) or f'known are {_listed(known)}'}", member=key)

    def text(self, value: object, path: str, chars_max: int, *, is_line: bool = True) -> None:
        if not isinstance(value, str) or not value.strip():
            self.problem(path, f"expected text, got {_shown(value)}")
        elif len(value) > chars_max:
            self.problem(path, f"{len(value):,} characters, of which {chars_max:,} are allowed")
        elif is_line and not value.isprintable():
            self.problem(path, "holds control or invisible characters; write plain text in one line")
        elif _has_surrogates(value):
            self.problem(path, "holds half of a surrogate pair; it is not Unicode text")

    def patterns(self, value: object, path: str, *, is_named: bool = False) -> tuple[str, ...]:
        """Read a glob or a list of them."""
        if not isinstance(value, (list, tuple)):
            return (self.pattern(value, path, is_named=is_named),)
        self.counted(value, path)
        return tuple(self.pattern(each, f"{path}[{place}]", is_named=is_named) for place, each in enumerate(value[:PATTERNS_MAX]))

    def pattern(self, value: object, path: str, *, is_named: bool) -> str:
        if not isinstance(value, str):
            self.problem(
                path, "missing; expected a pattern such as `llm:*`" if value is None else f"expected text, got {_shown(value)}; quote it"
            )
        elif not value:
            self.problem(path, "an empty pattern matches nothing; write `*` for everything")
        elif len(value) > PATTERN_CHARS_MAX:
            self.problem(path, f"a pattern of {len(value):,} characters, of which {PATTERN_CHARS_MAX:,} are allowed")
        elif HOLE in value or _has_surrogates(value):
            self.problem(path, "holds a NUL or half of a surrogate pair; no text that is judged does")
        elif is_named and not value.isprintable():
            self.problem(path, "holds control or invisible characters; a request that has them is denied before any rule")
        return value if isinstance(value, str) else ""

    def counted(self, value: Sequence[object], path: str) -> None:
        if not value:
            self.problem(path, "an empty list matches nothing; name what it stands for, or leave it out")
        elif len(value) > PATTERNS_MAX:
            self.problem(path, f"{len(value):,} values, of which {PATTERNS_MAX:,} are allowed; use globs or several rules")

    def conditions(self, value: object, path: str) -> dict[str, Wanted]:
        """Read the conditions of a rule."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(path, f"expected an object of keys and values, got {_kind(value)}")
            return {}
        if len(value) > CONDITIONS_MAX:
            self.problem(path, f"{len(value)} conditions, of which a rule may have {CONDITIONS_MAX}")
        self.both_agent_names(value, path)
        return {key: self.wanted(wanted, f"{path}.{key}") for key, wanted in value.items() if self.key(key, path)}

    def both_agent_names(self, value: Mapping[str, object], path: str) -> None:
        if "agent_id" in value and "agent_name" in value:
            self.problem(path, "`agent_id` and `agent_name` are the same; keep one")

    def key(self, key: object, path: str) -> bool:
        if not isinstance(key, str) or not key or key != key.strip() or not key.isprintable() or len(key) > KEY_CHARS_MAX:
            self.problem(path, f"expected a key of 1 to {KEY_CHARS_MAX} plain characters, got {_shown(key)}")
            return False
        segments = key.split(".")
        if key == RESOURCE:
            self.problem(path, "`resource` is the rule's own field; put it beside `action`", member=key)
        elif segments[0] in NAMESPACES and len(segments) > 1:
            meant = ".".join(filter(None, [NAMESPACES[segments[0]], *segments[1:]]))
            self.problem(path, f"unknown key `{key}`; did you mean `{meant}`?", member=key)
        elif key.startswith(NOTED) or key in RESERVED_KEYS or "" in segments or len(segments) > KEY_SEGMENTS_MAX:
            self.problem(
                path,
                f"`{key}` is no key; expected one such as `agent_id`, `tier`, `tags.team`, `args.path`, at most {KEY_SEGMENTS_MAX} parts",
                member=key,
            )
        else:
            return True
        return False

    def wanted(self, value: object, path: str) -> Wanted:
        """Read what a condition wants: a glob, a list of them, or operators with their values."""
        if isinstance(value, Mapping):
            if not value:
                self.problem(path, f"an empty object asks nothing; write a glob or one of {_listed(OPERATORS)}")
            return {key: self.operand(key, operand, path) for key, operand in value.items() if self.operator(key, path)}
        if isinstance(value, (list, tuple)):
            self.counted(value, path)
            return tuple(self.scalar(each, f"{path}[{place}]") for place, each in enumerate(value[:PATTERNS_MAX]))
        return self.scalar(value, path)

    def operator(self, key: object, path: str) -> bool:
        if key not in OPERATORS:
            self.problem(path, f"unknown operator `{key}`; {_near(key, OPERATORS) or f'known are {_listed(OPERATORS)}'}", member=key)
        return key in OPERATORS

    def operand(self, operator: str, value: object, path: str) -> Scalar | tuple[Scalar, ...]:
        path = f"{path}.{operator}"
        if operator in ("in", "not_in"):
            if not isinstance(value, (list, tuple)):
                self.problem(path, f"expected a list of values, got {_shown(value)}")
                return ()
            self.counted(value, path)
            return tuple(self.scalar(each, f"{path}[{place}]") for place, each in enumerate(value[:PATTERNS_MAX]))
        if operator in ("exists", "not_exists"):
            if not isinstance(value, bool):
                self.problem(path, f"expected true or false, got {_shown(value)}")
            return value is True
        if operator in ORDERING and isinstance(value, bool):
            self.problem(path, f"expected a number or text to compare with, got {_shown(value)}")
        return self.scalar(value, path)

    def scalar(self, value: object, path: str) -> Scalar:
        if isinstance(value, str):
            return self.pattern(value, path, is_named=False)
        if isinstance(value, (bool, int, float)) and is_json(value):
            return float(value) if abs(value) > EXACT_INT_MAX else value  # what any language reads
        hint = "; to ask for an absent key, write {not_exists: true}" if value is None else ""
        self.problem(path, f"expected text, a number, true or false, got {_shown(value)}{hint}")
        return ""


def _near(word: object, known: Sequence[str]) -> str:
    meant = _meant(word, known)
    return meant[2:] if meant else ""


def _meant(word: object, known: Sequence[str]) -> str:
    """Return `; did you mean …?` where a known word is near."""
    if not isinstance(word, str):
        return ""
    plain = word.strip().lower()
    near = [_MEANT[plain]] if _MEANT.get(plain) in known else get_close_matches(plain[:64], known, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _shown(value: object) -> str:
    if not is_scalar(value):
        return _kind(value)
    shown = canonical_json(value)
    return f"`{shown if len(shown) <= 60 else shown[:57] + '…'}`"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else _shown(value)


def _has_surrogates(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value) if not value.isascii() else False
