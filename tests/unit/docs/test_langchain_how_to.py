"""The example of docs/how-to/govern-langchain.md runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "govern-langchain.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (policy,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "policy.yaml").write_text(policy)
    monkeypatch.setenv("CONTROLZERO_POLICY_FILE", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    names: dict[str, Any] = {}
    exec(example, names)
    names["cz"].close()
    printed = capsys.readouterr().out
    assert "refunded 20 for o-17" in printed
    assert "More than 100 needs a person." in printed
    assert "refunded 2000" not in printed
