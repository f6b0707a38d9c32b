"""A model of nobody's behind OpenAI's interface: it answers every message in the same words, and asks for a tool where one is meant."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from tests.http_servers import Answering, address, serving

ANSWER = "Paris."
TOOLS = {  # a word of the customer's → the tool the model then asks for
    "refund": ("issue_refund", {"order_id": "A-1", "amount": 20.0}),
    "order": ("lookup_order", {"order_id": "A-1"}),
    "account": ("lookup_account", {"customer_id": "C-1"}),
    "human": ("escalate_to_human", {"reason": "asked for"}),
}


class _Handler(Answering):
    server: "Model"

    def do_POST(self) -> None:
        asked = json.loads(self.body())
        self.server.asked.append((self.headers["Authorization"].removeprefix("Bearer "), asked["model"]))
        self.answer_json(embedding(asked) if self.path.endswith("/embeddings") else chat(asked))


class Model(ThreadingHTTPServer):
    """The server; `asked` holds the key and the model of each request."""

    daemon_threads = True
    asked: list[tuple[str, str]]

    @property
    def url(self) -> str:
        """Where it answers."""
        return address(self)


def chat(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer in words, or with a call of a tool that is offered and meant."""
    offered = {tool["function"]["name"] for tool in asked.get("tools", ())}
    last = asked["messages"][-1]["content"]
    meant = next((tool for word, tool in TOOLS.items() if word in last and tool[0] in offered), None)
    message: dict[str, Any] = {"role": "assistant", "content": None if meant else ANSWER}
    if meant:
        function = {"name": meant[0], "arguments": json.dumps(meant[1])}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "finish_reason": "tool_calls" if meant else "stop", "message": message}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice], "usage": usage}


def embedding(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer with a vector of nothing."""
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    return {"object": "list", "model": asked["model"], "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


@contextmanager
def model_stub() -> Iterator[Model]:
    """Serve the model on 127.0.0.1."""
    server = Model(("127.0.0.1", 0), _Handler)
    server.asked = []
    with serving(server):
        yield server
