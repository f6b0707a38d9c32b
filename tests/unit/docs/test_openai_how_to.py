"""The examples of docs/how-to/govern-openai.md run as they stand, against a local server that answers like OpenAI."""

import json
import re
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlzero.integrations.openai import ACTIONS
from controlzero.integrations.prices import prices
from tests.how_to_pages import Page
from tests.http_servers import Answering, address, serving

PAGE = Page("govern-openai")
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def chat(**more: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5.4-mini", **more}


class Provider(Answering):
    server: "Providing"

    def do_POST(self) -> None:
        asked = json.loads(self.body())
        self.server.asked.append((self.path, asked["model"]))
        if asked.get("stream"):
            return self.answer(200, self.streamed(), "text/event-stream")
        return self.answer_json(self.answered())

    def answered(self) -> dict[str, Any]:
        if self.path.endswith("/responses"):
            return {"id": "r1", "object": "response", "created_at": 1, "model": "gpt-5.4-mini", "status": "completed", "output": []}
        return chat(
            choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "On its way."}}], usage=USAGE
        )

    def streamed(self) -> bytes:
        chunks = [chat(choices=[{"index": 0, "delta": {"content": text}}]) for text in ("On its ", "way.")] + [
            chat(choices=[], usage=USAGE)
        ]
        return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


class Providing(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Provider)
        self.asked: list[tuple[str, str]] = []


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Providing]:
    with serving(Providing()) as server:
        PAGE.put_policy(tmp_path, monkeypatch, OPENAI_API_KEY="sk-none", OPENAI_BASE_URL=f"{address(server)}/v1")
        yield server


def test_the_examples_run_in_order(provider: Providing, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(PAGE.blocks("python")) == 6
    names = PAGE.run()
    names["client"].close()
    names["cz"].close()
    assert provider.asked == [
        ("/v1/chat/completions", "gpt-5.4-mini"),
        ("/v1/chat/completions", "gpt-5.4-mini"),
        ("/v1/responses", "gpt-5.4-mini"),
    ]
    printed = capsys.readouterr().out
    assert "On its way." in printed
    assert "Ask the platform team for larger models." in printed
    assert "no rule matched" in printed


def test_the_page_names_the_actions_of_the_code() -> None:
    table = PAGE.text.split("| call |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+:\w+)` \|", table)) == {action.replace(".", ":") for action in ACTIONS}


def test_the_prices_of_the_page_are_a_file_of_prices(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(PAGE.the("toml"))
    assert prices(tmp_path / "prices.toml")["gpt-5.4-mini"].source == "our contract"
