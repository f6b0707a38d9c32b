"""What a policy is: ordered rules, the first that matches decides, and none is a deny."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from controlzero.records import Verdict

RuleMode = Literal["log-only"]  # no rule enforces where its project does not: a project's word is never more than its people set
Scalar = str | int | float | bool
Operator = Literal["eq", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "not_exists"]
Wanted = Scalar | tuple[Scalar, ...] | Mapping[str, Scalar | tuple[Scalar, ...]]  # a glob, any of several, or {operator: value}

# Limits on a policy. They bound what compiling costs and what one decision can cost at most.
POLICY_BYTES_MAX = 8 * 1024 * 1024  # 20,000 rules of 400 bytes
POLICY_DEPTH_MAX = 16  # a policy nests six deep; more is an attempt on the parser
POLICY_NODES_MAX = 500_000  # 20,000 rules of 25 values
RULES_MAX = 20_000  # of one policy; the index keeps a decision's cost the same, compiling takes about a second
PATTERNS_MAX = 1_000  # of one rule's action, resource or condition: a list of domains, not a database
PATTERN_CHARS_MAX = 1_024  # longer than any resource that can match it usefully
CONDITIONS_MAX = 32  # of one rule
KEY_CHARS_MAX = 256  # of a condition's key
KEY_SEGMENTS_MAX = 8  # of a path such as args.order.items.sku
NAME_CHARS_MAX = 200  # of a policy or rule: with a place behind it, still a label of the ledger
REASON_CHARS_MAX = 2_000  # a reason is read by a person
DESCRIPTION_CHARS_MAX = 10_000


class Rule(Struct, frozen=True, kw_only=True):
    """One rule: what it says (`effect`) of which actions on which resources under which conditions."""

    effect: Verdict
    action: tuple[str, ...]
    resource: tuple[str, ...] = ("*",)
    conditions: Mapping[str, Wanted] = {}
    id: str | None = None
    reason: str | None = None
    mode: RuleMode | None = None  # `log-only`: what it denies goes ahead and is recorded so, also while the project enforces


class Policy(Struct, frozen=True, kw_only=True):
    """Ordered rules under a name."""

    name: str
    rules: tuple[Rule, ...]
    description: str | None = None
