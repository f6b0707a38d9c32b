"""The example of docs/how-to/govern-openai-agents.md runs as it stands, against a local server that answers like OpenAI."""

import re
from pathlib import Path

import pytest
from agents import set_tracing_disabled

from tests.apart.openai_agents import asks_for_a_tool
from tests.unit.sdk.test_wrap_openai import CHAT, ProviderServer, provider

__all__ = ["provider"]  # the fixture

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "govern-openai-agents.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("amount", [20, 2000])
def test_the_example_runs(
    amount: int, provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (policy,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "policy.yaml").write_text(policy)
    for name, value in {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.server_port}/v1",
        "CONTROLZERO_POLICY_FILE": str(tmp_path / "policy.yaml"),
        "CONTROLZERO_SPOOL": str(tmp_path / "spool"),
    }.items():
        monkeypatch.setenv(name, value)
    set_tracing_disabled(disabled=True)
    call = asks_for_a_tool(amount)
    call["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = f'{{"order": "o-17", "amount": {amount}}}'
    provider.answers = [call, CHAT]
    exec(example, {"__name__": "page"})
    printed = capsys.readouterr().out
    assert ("More than 100 needs a person." in printed) == (amount > 100)
    assert len(provider.bodies) == (1 if amount > 100 else 2)
