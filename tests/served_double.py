"""The gateway double behind real HTTP, for agents in other processes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer

import httpx

from controlzero.testing import InMemoryGateway
from tests.http_servers import Answering, serving
from tests.ports import free_port


class _Handler(Answering):
    server: "_Server"

    def do_POST(self) -> None:
        request = httpx.Request(self.command, f"http://gateway{self.path}", headers=dict(self.headers), content=self.body())
        answer = self.server.gateway.handle_request(request)
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        self.answer(answer.status_code, answer.content, None, **headers)

    do_GET = do_POST

    def handle(self) -> None:
        with suppress(OSError):  # the agent was killed, or this gateway goes away
            super().handle()


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
def served(gateway: InMemoryGateway, *, port: int | None = None) -> Iterator[int]:
    """Serve a gateway on 127.0.0.1 and give its port; at the end its connections are cut."""
    server = _Server(("127.0.0.1", port or free_port()), _Handler)
    server.gateway, server.connections = gateway, set()
    try:
        with serving(server):
            yield server.server_port
    finally:
        for connection in list(server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
