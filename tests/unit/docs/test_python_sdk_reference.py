"""The examples of docs/reference/python-sdk.md run as they stand, one after the other, with nothing but the policy on the page."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "python-sdk.md").read_text(encoding="utf-8")
WRITTEN = re.sub(r"<!-- generated: .*?<!-- end -->", "", PAGE, flags=re.S)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", WRITTEN, re.M | re.S)


def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (policy,) = blocks("yaml")
    (tmp_path / "policy.yaml").write_text(policy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    names: dict[str, object] = {}
    examples = blocks("python")
    assert len(examples) == 9
    for example in examples:
        exec(example, names)
    names["cz"].close()  # type: ignore[attr-defined]
