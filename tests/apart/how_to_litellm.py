"""The example of docs/how-to/govern-litellm.md runs as it stands, against a local server that answers like OpenAI."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sdk.test_wrap_openai import ProviderServer, provider

__all__ = ["provider"]  # the fixture

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "govern-litellm.md").read_text(encoding="utf-8")


def test_the_example_runs(
    provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (policy,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "policy.yaml").write_text(policy)
    for name, value in {
        "OPENAI_API_KEY": "none",
        "OPENAI_API_BASE": f"http://127.0.0.1:{provider.server_port}/v1",
        "CONTROLZERO_POLICY_FILE": str(tmp_path / "policy.yaml"),
        "CONTROLZERO_SPOOL": str(tmp_path / "spool"),
    }.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    exec(example, names)
    names["cz"].close()
    assert [body["model"] for _, body in provider.bodies] == ["gpt-5.4-mini"]
    assert capsys.readouterr().out.count("Ask the platform team for larger models.") == 2
