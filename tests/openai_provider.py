"""OpenAI on this machine: a server that answers as its API does, and keeps what it was asked."""

import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from tests.http_servers import Answering, serving

HELLO = [{"role": "user", "content": "old"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "I am jane@example.com"}]
CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "{}"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}
RESPONSE = {
    "id": "r1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 7,
        "output_tokens": 3,
        "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
EMBEDDING = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}


def chunk(delta: dict[str, str], **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta else []
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4", "choices": choices, **more}


CHAT_CHUNKS = [chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, usage=CHAT["usage"])]
RESPONSE_EVENTS = [
    {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "usage": None}},
    {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
]


class Provider(Answering):
    """Answers as OpenAI would; `failures` of the server are answered with 503 first."""

    server: "ProviderServer"

    def do_POST(self) -> None:
        body = json.loads(self.body())
        self.server.bodies.append((self.path, body))
        if self.server.failures:
            self.server.failures -= 1
            return self.answer(503, b"{}")
        is_response = self.path.split("?")[0].endswith("/responses")
        if body.get("stream"):
            events = RESPONSE_EVENTS if is_response else CHAT_CHUNKS
            named = [(f"event: {event['type']}\n" if is_response else "") + f"data: {json.dumps(event)}\n\n" for event in events]
            return self.answer(200, ("".join(named) + ("" if is_response else "data: [DONE]\n\n")).encode(), "text/event-stream")
        if self.server.answers:
            return self.answer_json(self.server.answers.pop(0))
        return self.answer_json(RESPONSE if is_response else EMBEDDING if self.path.endswith("/embeddings") else CHAT)

    def do_GET(self) -> None:
        self.answer_json({"object": "list", "data": []})


class ProviderServer(ThreadingHTTPServer):
    daemon_threads = True
    bodies: list[tuple[str, dict[str, Any]]]
    failures = 0
    answers: list[dict[str, Any]]  # given before the usual ones


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    server = ProviderServer(("127.0.0.1", 0), Provider)
    server.bodies, server.answers = [], []
    with serving(server):
        yield server
