"""The example of docs/how-to/govern-openai-agents.md runs as it stands, against a local server that answers like OpenAI."""

from pathlib import Path

import pytest
from agents import set_tracing_disabled

from tests.apart.openai_agents import asks_for_a_tool
from tests.how_to_pages import Page
from tests.http_servers import address
from tests.openai_provider import CHAT, ProviderServer, provider

__all__ = ["provider"]  # the fixture

PAGE = Page("govern-openai-agents")


@pytest.mark.parametrize("amount", [20, 2000])
def test_the_example_runs(
    amount: int, provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(PAGE.blocks("python")) == 1
    PAGE.put_policy(tmp_path, monkeypatch, OPENAI_API_KEY="none", OPENAI_BASE_URL=f"{address(provider)}/v1")
    set_tracing_disabled(disabled=True)
    call = asks_for_a_tool(amount)
    call["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = f'{{"order": "o-17", "amount": {amount}}}'
    provider.answers = [call, CHAT]
    PAGE.run()
    printed = capsys.readouterr().out
    assert ("More than 100 needs a person." in printed) == (amount > 100)
    assert len(provider.bodies) == (1 if amount > 100 else 2)
