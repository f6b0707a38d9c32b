"""HTTP servers in threads of the tests' own process: what stands in for a provider, a tool, a webhook."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, TypeVar

S = TypeVar("S", bound=HTTPServer)


class Answering(BaseHTTPRequestHandler):
    """Reads a body, answers as a whole, and says nothing of it."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        """Return what was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes, content_type: str | None = "application/json", **headers: str) -> None:
        """Answer; `headers` come beside the content's type and length."""
        self.send_response(status)
        if content_type is not None:
            self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, answer: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self.answer(status, json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address(server: HTTPServer) -> str:
    """Return where it answers."""
    return f"http://127.0.0.1:{server.server_port}"
