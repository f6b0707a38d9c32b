"""Anthropic on this machine: a server that answers as its API does, and keeps what it was asked."""

import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from tests.http_servers import Answering, serving

HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-4-5"
USAGE = {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0}


def message(**more: Any) -> dict[str, Any]:
    text = {"type": "text", "text": '{"word": "hi"}'}
    plain = {"id": "m1", "type": "message", "role": "assistant", "model": HAIKU, "content": [text], "stop_reason": "end_turn"}
    return {**plain, "stop_sequence": None, "usage": USAGE, **more}


EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": message(content=[], stop_reason=None, usage={**USAGE, "output_tokens": 1})},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]
BATCH = {
    "id": "b1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": dict.fromkeys(("canceled", "errored", "expired", "processing", "succeeded"), 0),
    "created_at": "2026-11-21T00:00:00Z",
    "expires_at": "2026-11-22T00:00:00Z",
}


class Provider(Answering):
    """Answers as Anthropic would."""

    server: "ProviderServer"

    def do_POST(self) -> None:
        body = json.loads(self.body())
        self.server.bodies.append((self.path, body))
        if self.path.partition("?")[0].endswith("/batches"):
            return self.answer_json(BATCH)
        if self.path.partition("?")[0].endswith("/count_tokens"):
            return self.answer_json({"input_tokens": 7})
        if body.get("stream"):
            events = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS)
            return self.answer(200, events.encode(), "text/event-stream")
        return self.answer_json(message())


class ProviderServer(ThreadingHTTPServer):
    daemon_threads = True
    bodies: list[tuple[str, dict[str, Any]]]


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    server = ProviderServer(("127.0.0.1", 0), Provider)
    server.bodies = []
    with serving(server):
        yield server
