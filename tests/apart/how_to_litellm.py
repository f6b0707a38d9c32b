"""The example of docs/how-to/govern-litellm.md runs as it stands, against a local server that answers like OpenAI."""

from pathlib import Path

import pytest

from tests.how_to_pages import Page
from tests.http_servers import address
from tests.openai_provider import ProviderServer, provider

__all__ = ["provider"]  # the fixture

PAGE = Page("govern-litellm")


def test_the_example_runs(
    provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(PAGE.blocks("python")) == 1
    PAGE.put_policy(tmp_path, monkeypatch, OPENAI_API_KEY="none", OPENAI_API_BASE=f"{address(provider)}/v1")
    PAGE.run()["cz"].close()
    assert [body["model"] for _, body in provider.bodies] == ["gpt-5.4-mini"]
    assert capsys.readouterr().out.count("Ask the platform team for larger models.") == 2
