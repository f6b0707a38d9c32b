"""What is set as text for people: counted, policies as YAML in the order one writes it, the difference of two as lines."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

POLICY_ORDER = ("name", "description", "rules")
RULE_ORDER = ("id", "effect", "action", "resource", "conditions", "mode", "reason")
LINE_CHARS_MAX = 10_000  # no folding: a changed word is then one changed line of a difference


def counted(count: int, noun: str) -> str:
    """Return how many of a thing there are: `1 key`, `2 keys`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def policy_text(policies: Sequence[Mapping[str, Any]]) -> str:
    """Return policy documents as YAML that can be applied again; several are apart by `---`."""
    return "---\n".join(yaml_text(readable_policy(policy)) for policy in policies)


def yaml_text(value: Mapping[str, Any]) -> str:
    """Return a value as YAML that reads as people write it, and says the same to the parser of policies; what nobody would see is escaped."""
    text = _dumped(value, allow_unicode=True)
    return text if all(line.isprintable() for line in text.split("\n")) else _dumped(value, allow_unicode=False)


def _dumped(value: Mapping[str, Any], *, allow_unicode: bool) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=allow_unicode, width=LINE_CHARS_MAX)


def policy_difference(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], *, before_name: str, after_name: str
) -> Iterator[str]:
    """Yield the lines of a unified difference between two versions, none where they say the same."""
    return difflib.unified_diff(
        policy_text(before).splitlines(), policy_text(after).splitlines(), fromfile=before_name, tofile=after_name, lineterm=""
    )


class _Dumper(yaml.SafeDumper):
    """Blocks for what has members, one line for a list of values: as people write policies."""


def _list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=not any(isinstance(value, dict) for value in values))


def _object(dumper: _Dumper, members: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", members, flow_style=not members)


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    # A policy's `1e3` in plain YAML is a number to its parser, though not to PyYAML, which would leave it bare.
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else "'" if text[:1] in "+-.0123456789" else None
    )


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(dict, _object)


def readable_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy document with its keys in the order one reads them."""
    return _ordered({**policy, "rules": [_ordered(rule, RULE_ORDER) for rule in policy["rules"]]}, POLICY_ORDER)


def _ordered(members: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    return {key: members[key] for key in order if key in members}
