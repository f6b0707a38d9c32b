"""The examples of docs/how-to/govern-anthropic.md run as they stand, against a local server that answers like Anthropic."""

from pathlib import Path

import pytest

from tests.anthropic_provider import ProviderServer, provider
from tests.how_to_pages import Page
from tests.http_servers import address

__all__ = ["provider"]  # the fixture

PAGE = Page("govern-anthropic")


def test_the_examples_run_in_order(
    provider: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    PAGE.put_policy(tmp_path, monkeypatch, ANTHROPIC_API_KEY="none", ANTHROPIC_BASE_URL=address(provider))
    assert len(PAGE.blocks("python")) == 3
    names = PAGE.run()
    names["client"].close()
    names["cz"].close()
    assert len(provider.bodies) == 2
    printed = capsys.readouterr().out
    assert "word" in printed
    assert "Ask the platform team for larger models." in printed
