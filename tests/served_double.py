"""The gateway double behind real HTTP, for agents in other processes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from controlzero.testing import InMemoryGateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        request = httpx.Request(self.command, f"http://gateway{self.path}", headers=dict(self.headers), content=body)
        answer = self.server.gateway.handle_request(request)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def handle(self) -> None:
        with suppress(OSError):  # the agent was killed, or this gateway goes away
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    gateway: InMemoryGateway
    connections: set[socket.socket]

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self.connections.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.connections.discard(request)
        super().shutdown_request(request)


@contextmanager
def served(gateway: InMemoryGateway, *, port: int = 0) -> Iterator[int]:
    """Serve a gateway on 127.0.0.1 and give its port; at the end its connections are cut."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.gateway, server.connections = gateway, set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for connection in list(server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
