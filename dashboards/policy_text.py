"""A policy's text by rules, so that a page can point at the lines that decided and count beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from controlplane.wording import policy_difference, policy_text

Policies = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of policy text; `rule` is the place of its rule in the bundle's list, from 1, where it belongs to one."""

    number: int
    text: str
    rule: int | None = None
    starts_rule: bool = False


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One line of a comparison: kept, added or removed; `…` stands for the lines left out between."""

    sign: Literal[" ", "+", "-", "…"]
    text: str


def policy_lines(policies: Policies) -> list[Line]:
    """Return the text of policies, in the order they are evaluated in, each line with the rule it belongs to."""
    lines: list[Line] = []
    rule = 0
    among_rules = False
    for text in policy_text(policies).splitlines():
        starts = among_rules and text.startswith("- ")
        among_rules = text == "rules:" or (among_rules and (not text or text.startswith(("- ", "  "))))
        rule += starts
        belongs = rule if among_rules and text != "rules:" else None
        lines.append(Line(number=len(lines) + 1, text=text, rule=belongs, starts_rule=starts))
    return lines


def around(lines: Sequence[Line], rule: int, *, each_side: int = 6) -> list[Line]:
    """Return the lines of a rule with some before and after; none where there is no such rule."""
    of_rule = [i for i, line in enumerate(lines) if line.rule == rule]
    if not of_rule:
        return []
    return list(lines[max(of_rule[0] - each_side, 0) : of_rule[-1] + each_side + 1])


def rules_of(policies: Policies) -> list[Mapping[str, Any]]:
    """Return all rules in the order they are evaluated in: a rule's place is its index here and one."""
    return [rule for policy in policies for rule in policy.get("rules", ())]


def compare(before: Policies, after: Policies) -> list[Changed]:
    """Compare two versions line by line, with a few lines around each change."""
    changes: list[Changed] = []
    for line in list(policy_difference(before, after, before_name="", after_name=""))[2:]:
        if line.startswith("@@"):
            changes += [Changed(sign="…", text="")] if changes else []
        else:
            changes.append(Changed(sign=line[:1], text=line[1:]))  # type: ignore[arg-type]  # difflib's three signs
    return changes
