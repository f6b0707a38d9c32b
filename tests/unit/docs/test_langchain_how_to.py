"""The example of docs/how-to/govern-langchain.md runs as it stands."""

from pathlib import Path

import pytest

from tests.how_to_pages import Page

PAGE = Page("govern-langchain")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(PAGE.blocks("python")) == 1
    PAGE.put_policy(tmp_path, monkeypatch)
    PAGE.run()["cz"].close()
    printed = capsys.readouterr().out
    assert "refunded 20 for o-17" in printed
    assert "More than 100 needs a person." in printed
    assert "refunded 2000" not in printed
