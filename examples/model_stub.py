"""A model for the examples: a server on this machine that answers as OpenAI's chat completions do, by a rule anybody can follow.

It calls the tool that the user names first, with arguments taken from the user's words. Once the tool has answered, it says so. `with running_model() as url:` gives the address for `openai.OpenAI(base_url=url)`.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def running_model() -> Iterator[str]:
    """Serve the model on a free port of 127.0.0.1 until the block ends; gives its base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self._send(404, {"error": {"message": "This model answers chat completions alone"}})
            return
        said = answer(asked["messages"], asked.get("tools", []))
        prompt_tokens, completion_tokens = len(str(asked["messages"])) // 4, 20
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": asked["model"],
            "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls" if said.get("tool_calls") else "stop"}],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        }
        self._send(200, body)

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Say nothing: the example's own output is what counts."""


def answer(messages: list[Mapping[str, Any]], tools: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the assistant's next message."""
    last = messages[-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"Here is what I found: {last['content']}"}
    words = str(last["content"])
    named = {_named_at(tool["function"]["name"], words): tool["function"] for tool in tools}
    chosen = named[min(named)] if named else {}
    if not chosen or min(named) == len(words):
        return {"role": "assistant", "content": f"I have read: {words[:200]}"}
    arguments = {name: _taken(name, schema, words) for name, schema in chosen["parameters"]["properties"].items()}
    call = {"id": "call-1", "type": "function", "function": {"name": chosen["name"], "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _named_at(name: str, words: str) -> int:
    """Return where a word of the tool's name first stands in what was said, its end where none does."""
    places = [words.lower().find(word) for word in name.split("_")]
    return min((place for place in places if place >= 0), default=len(words))


def _taken(name: str, schema: Mapping[str, Any], words: str) -> Any:
    """Take an argument from the words: one of its possible values, a number, an id such as A-1007, or all of them."""
    for value in schema.get("enum", []):
        if value.lower() in words.lower():
            return value
    if schema["type"] == "number":
        numbers = re.findall(r"(?<![\w-])\d+(?:\.\d+)?", words)
        return float(numbers[0]) if numbers else 0.0
    found = re.search(r"\b[A-Z]+-\d+\b", words)
    return found[0] if found and name.endswith("_id") else words
