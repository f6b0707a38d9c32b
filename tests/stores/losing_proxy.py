"""Stands between a client and an S3 server, sees each request, and can lose it, its answer, or the client."""

import socket
import threading
from collections.abc import Callable
from typing import Literal

Fate = Literal["pass", "lose the request", "lose the answer"]
CHUNK = 1 << 16


class LosingProxy:
    """Listens on a port of its own. `judge` is asked of each request's first lines, and again once the server did it."""

    def __init__(self, server: tuple[str, int], judge: Callable[[str], Fate]) -> None:
        self._server, self._judge = server, judge
        self._lost: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def deliver(self) -> list[int]:
        """Let the requests that were lost arrive after all; return what the server answers."""
        answers = []
        while self._lost:
            with socket.create_connection(self._server) as server:
                server.sendall(self._lost.pop(0))
                answers.append(int(_message(server).split(b" ", 2)[1]))
        return answers

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            while request := _message(client):
                fate = self._judge(request.partition(b"\r\n\r\n")[0].decode())
                if fate == "lose the request":
                    self._lost.append(request)
                    return
                server.sendall(request)
                answer = _message(server, head_only=request.startswith(b"HEAD"))
                if fate == "lose the answer":
                    return
                client.sendall(answer)


def _message(side: socket.socket, *, head_only: bool = False) -> bytes:
    """Return a whole request or answer; nothing where the side closed."""
    message = b""
    while b"\r\n\r\n" not in message:
        part = side.recv(CHUNK)
        if not part:
            return b""
        message += part
    head, _, body = message.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert b"transfer-encoding" not in fields
    missing = 0 if head_only else int(fields.get(b"content-length", 0)) - len(body)
    while missing > 0:
        part = side.recv(min(CHUNK, missing))
        message += part
        missing -= len(part)
    return message
