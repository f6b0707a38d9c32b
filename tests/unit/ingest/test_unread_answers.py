"""Who asks and does not read the answer: the connection ends, and what waited on it goes on."""

import asyncio
import socket

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from ingest.limits import ANSWER_READ_S_MAX
from ingest.server import PatientProtocol

LARGE = b"x" * (32 * 2**20)  # beyond what a socket takes unread
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """An application whose answers are large; of the first and the second, whether they are begun and given."""

    def __init__(self) -> None:
        self.begun = [asyncio.Event(), asyncio.Event()]
        self.given = [asyncio.Event(), asyncio.Event()]
        self.number = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.number += 1
        number = self.number
        self.begun[number].set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(LARGE))]})
        await send({"type": "http.response.body", "body": LARGE})
        self.given[number].set()


async def asked(served: Served, requests: bytes) -> tuple[PatientProtocol, socket.socket, asyncio.Server]:
    """Serve on this loop, and send it requests over a connection that is not read."""
    config = uvicorn.Config(served, http=PatientProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0)
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, server.sockets[0].getsockname())
    await loop.sock_sendall(client, requests)
    await asyncio.wait_for(served.given[0].wait(), 20)
    (connection,) = state.connections
    assert isinstance(connection, PatientProtocol)
    return connection, client, server


async def read_to_the_end(client: socket.socket) -> int:
    """Return how many bytes came before the connection ended."""
    size = 0
    async with asyncio.timeout(20):
        try:
            while piece := await asyncio.get_running_loop().sock_recv(client, 2**20):
                size += len(piece)
        except ConnectionResetError:
            pass
    return size


def test_an_answer_that_nobody_reads_ends_its_connection_in_time_and_lets_go_of_what_waits() -> None:
    async def unread() -> None:
        served = Served()
        connection, client, server = await asked(served, REQUEST * 2)
        await asyncio.wait_for(served.begun[1].wait(), 20)
        since = connection.unread_since
        assert since is not None
        connection.close_if_overdue(since + ANSWER_READ_S_MAX)
        assert not connection.transport.is_closing()
        assert not served.given[1].is_set()  # the second answer waits for the first to be read
        connection.close_if_overdue(since + ANSWER_READ_S_MAX + 1)
        assert await read_to_the_end(client) < len(LARGE)
        await asyncio.wait_for(served.given[1].wait(), 20)
        client.close()
        server.close()

    asyncio.run(unread())


def test_an_answer_that_is_read_at_last_is_whole_and_its_connection_stays() -> None:
    async def read_late() -> None:
        served = Served()
        connection, client, server = await asked(served, REQUEST)
        size = 0
        async with asyncio.timeout(20):
            while size < len(LARGE):
                size += len(await asyncio.get_running_loop().sock_recv(client, 2**20))
        assert connection.unread_since is None
        connection.close_if_overdue(asyncio.get_running_loop().time() + 10 * ANSWER_READ_S_MAX)
        assert not connection.transport.is_closing()
        client.close()
        server.close()

    asyncio.run(read_late())
