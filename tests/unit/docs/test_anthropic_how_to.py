"""The examples of docs/how-to/govern-anthropic.md run as they stand, against a local server that answers like Anthropic."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sdk.test_wrap_anthropic import ProviderServer, provider

__all__ = ["provider"]  # the fixture

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "govern-anthropic.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


def test_the_examples_run_in_order(
    provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    for name, value in {
        "ANTHROPIC_API_KEY": "none",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{provider.server_port}",
        "CONTROLZERO_POLICY_FILE": str(tmp_path / "policy.yaml"),
        "CONTROLZERO_SPOOL": str(tmp_path / "spool"),
    }.items():
        monkeypatch.setenv(name, value)
    assert len(EXAMPLES) == 3
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, names)
    names["client"].close()
    names["cz"].close()
    assert len(provider.bodies) == 2
    printed = capsys.readouterr().out
    assert "word" in printed
    assert "Ask the platform team for larger models." in printed
