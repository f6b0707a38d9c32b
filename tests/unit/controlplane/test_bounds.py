"""What the interface takes in at once, and that nobody holds it up by not reading what was asked for."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from controlplane.api.bounds import ANSWERED_AT_ONCE, AT_ONCE_MAX, Bounded

STATUS = "http.response.start"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once; then fail where it is told to, as what the server logs does."""
    await send({"type": STATUS, "status": 500 if scope["path"] == "/fails" else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"large"})
    if scope["path"] == "/fails":
        raise ZeroDivisionError


def bounded() -> Bounded:
    return Bounded(application, admit=lambda _: None, monotonic=lambda: 0.0)


class Reader:
    """Who asks: `is_answered` once there is an answer to read, of which nothing is read until `may_read`."""

    def __init__(self) -> None:
        self.is_answered, self.may_read = asyncio.Event(), asyncio.Event()


async def ask(interface: Bounded, reader: Reader) -> list[Message]:
    """Ask with a body of a megabyte, and return the answer."""
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": False}

    async def send(message: Message) -> None:
        reader.is_answered.set()
        await reader.may_read.wait()
        told.append(message)

    scope = {"type": "http", "path": "/", "client": ("127.0.0.1", 1), "headers": [(b"content-length", b"1000000")]}
    await interface(scope, receive, send)
    return told


def test_who_does_not_read_the_answer_holds_up_nobody() -> None:
    async def run() -> None:
        interface, readers = bounded(), [Reader() for _ in range(AT_ONCE_MAX + ANSWERED_AT_ONCE)]
        asked = []
        async with asyncio.timeout(30):
            for reader in readers:
                asked.append(asyncio.create_task(ask(interface, reader)))
                await reader.is_answered.wait()
        assert not any(task.done() for task in asked)
        for reader in readers:
            reader.may_read.set()
        answers = await asyncio.gather(*asked)
        assert {told[0]["status"] for told in answers} == {200}
        assert {len(told) for told in answers} == {2}

    asyncio.run(run())


def test_an_answer_that_is_followed_by_a_failure_is_given_and_the_failure_goes_on_to_the_log() -> None:
    async def run() -> None:
        interface, told = bounded(), list[Message]()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        with pytest.raises(ZeroDivisionError):
            await interface({"type": "http", "path": "/fails", "headers": []}, receive, send)
        assert [message.get("status") for message in told] == [500, None]

    asyncio.run(run())
