"""The how-to about testing policies, and the reference of tests, run as they stand."""

import re
from pathlib import Path

import pytest

from controlzero.policy import parse
from controlzero.policy.examples import remarks
from cz import policy_cases

DOCS = Path(__file__).parents[3] / "docs"
HOW_TO = (DOCS / "how-to" / "test-policies-in-ci.md").read_text()
REFERENCE = (DOCS / "reference" / "policy.md").read_text().split("## Tests")[1]


def blocks(page: str) -> list[str]:
    return [re.sub(r"(?m)^   ", "", block) if block.startswith("   ") else block for block in re.findall(r"```yaml\n(.*?)```", page, re.S)]


def test_the_how_tos_test_passes_and_leaves_no_rule_untested(tmp_path: Path) -> None:
    tests, policy, *_ = blocks(HOW_TO)
    (tmp_path / "support-bot.yaml").write_text(policy)
    (tmp_path / "support-bot_test.yaml").write_text(tests)
    ran = policy_cases.run([tmp_path / "support-bot_test.yaml"])
    assert ([result.passed for result in ran.results], ran.untested) == ([True, True], [])
    assert remarks(parse(policy)) == ()


def test_the_references_example_passes(tmp_path: Path) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", REFERENCE, re.S)
    (tmp_path / "x_test.json").write_text(block)
    ran = policy_cases.run([tmp_path / "x_test.json"])
    assert [result.passed for result in ran.results] == [True, True]


@pytest.mark.parametrize(("table", "record"), [("field of a group", policy_cases.Group), ("field of a case", policy_cases.Case)])
def test_the_fields_are_those_of_the_types(table: str, record: type) -> None:
    section = REFERENCE.split(f"| {table} |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == set(record.__struct_fields__)


def test_what_may_be_wanted_is_named_whole() -> None:
    row = next(line for line in REFERENCE.splitlines() if line.startswith("| `wanted`"))
    assert set(policy_cases.Wanted.__struct_fields__) <= set(re.findall(r"`(\w+)`", row))
