"""Policies as text for people: YAML in the order one writes it, and the difference of two as lines."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

POLICY_ORDER = ("name", "description", "rules")
RULE_ORDER = ("id", "effect", "action", "resource", "conditions", "reason")


def policy_text(policies: Sequence[Mapping[str, Any]]) -> str:
    """Return policy documents as YAML, several apart by `---`; a list of one is written as that one."""
    return "---\n".join(
        yaml.safe_dump(_readable(policy), sort_keys=False, allow_unicode=True, default_flow_style=None, width=120) for policy in policies
    )


def policy_difference(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], *, before_name: str, after_name: str
) -> Iterator[str]:
    """Yield the lines of a unified difference between two versions, none where they say the same."""
    return difflib.unified_diff(
        policy_text(before).splitlines(), policy_text(after).splitlines(), fromfile=before_name, tofile=after_name, lineterm=""
    )


def _readable(policy: Mapping[str, Any]) -> dict[str, Any]:
    rules = [_ordered({key: _single(value) for key, value in rule.items()}, RULE_ORDER) for rule in policy.get("rules", [])]
    return _ordered({**policy, "rules": rules}, POLICY_ORDER)


def _ordered(mapping: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    first = {key: mapping[key] for key in order if key in mapping}
    return first | {key: value for key, value in mapping.items() if key not in first}


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
