"""The examples of docs/reference/control-zero.md run as they stand, one after the other."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "control-zero.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", re.sub(r"<!-- generated: .*?<!-- end -->", "", PAGE, flags=re.S), re.M | re.S)


def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    names: dict[str, object] = {}
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        exec(example, names)
