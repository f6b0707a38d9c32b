"""The examples of docs/how-to/govern-openai.md run as they stand, against a local server that answers like OpenAI."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlzero.integrations.openai import ACTIONS
from controlzero.integrations.prices import prices

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "govern-openai.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def chat(**more: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5.4-mini", **more}


class Provider(BaseHTTPRequestHandler):
    server: "Providing"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked["model"]))
        body = self.streamed() if asked.get("stream") else json.dumps(self.answered()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...


class Providing(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Provider)
        self.asked: list[tuple[str, str]] = []


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Providing]:
    (tmp_path / "policy.yaml").write_text(POLICY)
    with Providing() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "OPENAI_API_KEY": "sk-none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "CONTROLZERO_POLICY_FILE": str(tmp_path / "policy.yaml"),
            "CONTROLZERO_SPOOL": str(tmp_path / "spool"),
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()


def test_the_examples_run_in_order(provider: Providing, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLES) == 6
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, names)
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
    table = PAGE.split("| call |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+:\w+)` \|", table)) == {action.replace(".", ":") for action in ACTIONS}


def test_the_prices_of_the_page_are_a_file_of_prices(tmp_path: Path) -> None:
    (own,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "prices.toml").write_text(own)
    assert prices(tmp_path / "prices.toml")["gpt-5.4-mini"].source == "our contract"
