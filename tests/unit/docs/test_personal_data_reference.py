"""docs/reference/personal-data.md says what the code does: its types and families, its limits, its example."""

import re
from pathlib import Path

from controlzero.pii.patterns import DETECTORS, FAMILIES
from controlzero.pii.redact import PASSES_MAX, RECEIPTS_MAX, TEXT_CHARS_MAX
from controlzero.vault import MASKED_BYTES_MIN

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "personal-data.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]


def test_the_types_are_those_of_the_detectors() -> None:
    assert {type_: family for type_, family, _ in rows("What is found")} == FAMILIES
    assert {row[0] for row in rows("How good it is")} == {detector.type for detector in DETECTORS}  # a known secret is found or it is not


def test_the_limits_are_those_of_the_code() -> None:
    assert f"more than {TEXT_CHARS_MAX:,} characters" in PAGE
    assert f"masked {PASSES_MAX} times" in PAGE
    assert f"leaves at most {RECEIPTS_MAX};" in PAGE
    assert f"fewer than {MASKED_BYTES_MIN} bytes" in PAGE


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(example, {})
