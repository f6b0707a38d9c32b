"""docs/reference/policy.md is run: each policy on it against the tables that follow it, each refusal, each limit."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane import model as controlplane_limits
from controlzero import policy as language
from controlzero.errors import PolicyError
from controlzero.policy import effect_of, model, parse, request_for_enforce, request_for_guard

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "policy.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n|^(\|.*?)(?=^[^|]|\Z)", re.M | re.S)
ABSENT = object()


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def blocks() -> list[tuple[str, str]]:
    """Return the page's code blocks by language and its tables as `table`, in order."""
    return [(found[1] or "table", found[2] or found[3]) for found in BLOCK.finditer(PAGE)]


def table_of(text: str) -> Table:
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in text.strip().splitlines()]
    columns = tuple(lines[0])
    return Table(columns, tuple(dict(zip(columns, cells, strict=True)) for cells in lines[2:]))


def code(cell: str) -> str | None:
    """Return the text in backticks, None for an empty cell."""
    return None if not cell else json.loads(f'"{cell.strip("`")}"') if "\\u" in cell else cell.strip("`")


def value(cell: str) -> Any:
    return None if not cell else json.loads(cell.strip("`"))


def tables_with(*columns: str) -> list[Table]:
    tables = [table_of(text) for kind, text in blocks() if kind == "table"]
    return [table for table in tables if set(columns) <= set(table.columns)]


def judged_examples() -> Iterator[Any]:
    found = blocks()
    for (kind, source), (next_kind, text) in itertools.pairwise(found):
        if kind == "yaml" and next_kind == "table":
            for row in table_of(text).rows:
                yield pytest.param(source, row, id=" ".join(filter(None, row.values())))


def refused_examples() -> Iterator[tuple[str, str]]:
    found = blocks()
    for (kind, source), (next_kind, text) in itertools.pairwise(found):
        if kind == "yaml" and next_kind == "text":
            yield source, text.strip()


def test_every_policy_on_the_page_is_followed_by_what_it_says() -> None:
    policies = [source for kind, source in blocks() if kind == "yaml"]
    assert len(policies) >= 9
    assert set(policies) == {param.values[0] for param in judged_examples()} | {source for source, _ in refused_examples()}
    assert len(list(judged_examples())) >= 40


@pytest.mark.parametrize(("source", "row"), list(judged_examples()))
def test_a_policy_says_what_the_page_says(source: str, row: dict[str, str]) -> None:
    policy = parse(source, name="example")
    judgement = language.compile(policy).decide(
        action=code(row["action"]) or "",
        resource=code(row.get("resource", "")),
        args=value(row.get("args", "")),
        context=value(row.get("context", "")),
        tags=value(row.get("tags", "")),
    )
    assert judgement.verdict == row["verdict"]
    decided_by = row["decided by"]
    if decided_by == "no rule":
        assert (judgement.policy_id, judgement.reason_code) == (None, "default_deny")
    elif decided_by == "malformed":
        assert (judgement.policy_id, judgement.reason_code) == (None, "malformed_request")
    else:
        assert (judgement.rule_id, judgement.reason_code) == (code(decided_by), "matched_rule")


@pytest.mark.parametrize(("source", "told"), list(refused_examples()))
def test_a_refused_policy_is_told_what_the_page_tells(source: str, told: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(source)
    assert str(refused.value) == told


def operator_examples() -> Iterator[Any]:
    (table,) = tables_with("operator", "holds for")
    for row in table.rows:
        for holds, column in ((True, "holds for"), (False, "does not hold for")):
            for fact in re.findall(r"`([^`]*)`|(absent)", row[column]):
                yield pytest.param(
                    row["operator"].strip("`"),
                    ABSENT if fact[1] else json.loads(fact[0]),
                    holds,
                    id=f"{row['operator']} {fact[0] or 'absent'} {holds}",
                )


@pytest.mark.parametrize(("wanted", "fact", "holds"), list(operator_examples()))
def test_an_operator_holds_for_what_the_page_says(wanted: str, fact: object, holds: bool) -> None:
    policy = language.compile({"rules": [{"effect": "allow", "action": "*", "conditions": {"x": json.loads(wanted)}}]})
    context = {} if fact is ABSENT else {"x": fact}
    assert (policy.decide(action="a:b", context=context).verdict == "allow") is holds


def test_calls_are_named_as_the_page_says() -> None:
    (table,) = tables_with("call", "action", "resource")
    made = {"guard": request_for_guard, "enforce": request_for_enforce}
    for row in table.rows:
        request = eval(code(row["call"]) or "", made)
        assert list(request.actions) == [code(action) for action in row["action"].split(" and ")]
        assert request.resource == code(row["resource"])
    assert len(table.rows) == 6


def test_effects_are_what_the_page_says() -> None:
    (table,) = tables_with("verdict", "mode", "effect")
    for row in table.rows:
        assert effect_of(row["verdict"], row["mode"]) == (row["effect"], row["goes ahead"] == "yes")  # type: ignore[arg-type]
    assert len(table.rows) == 8
    for verdict in ("allow", "deny", "warn", "audit", None):
        assert effect_of(verdict, "off") == ("allow", True)  # type: ignore[arg-type]


def test_limits_are_what_the_page_says() -> None:
    (table,) = tables_with("limit")
    said = {row["limit"]: int(row[""].replace(",", "")) for row in table.rows}
    assert said == {
        "bytes of a policy": model.POLICY_BYTES_MAX,
        "rules of a policy": model.RULES_MAX,
        "patterns of one action, resource or condition": model.PATTERNS_MAX,
        "characters of a pattern": model.PATTERN_CHARS_MAX,
        "conditions of a rule": model.CONDITIONS_MAX,
        "characters of a condition's key": model.KEY_CHARS_MAX,
        "parts of a condition's path": model.KEY_SEGMENTS_MAX,
        "characters of a name or id": model.NAME_CHARS_MAX,
        "characters of a reason": model.REASON_CHARS_MAX,
        "characters of a description": model.DESCRIPTION_CHARS_MAX,
        "policies of a bundle": controlplane_limits.POLICIES_MAX,
        "candidates beside a bundle": controlplane_limits.CANDIDATES_MAX,
    }


def test_the_code_on_the_page_runs() -> None:
    examples = [text for kind, text in blocks() if kind == "python"]
    assert examples
    for example in examples:
        exec(example, {})


@pytest.mark.parametrize("source", ["rules: &a []\nname: *a", "rules: []\nrules: []", "name: !!str 5\nrules: []"])
def test_yaml_that_hides_what_it_says_is_refused(source: str) -> None:
    with pytest.raises(PolicyError):
        parse(source)
