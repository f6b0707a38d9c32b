"""The bounds of what the interface takes in: how large a body is, how slow, how many at once, and how many wrong keys an address tries.

A body is taken in from nobody but who has a key: the bounds are of all requests together, and would be anybody's to use up. For the
same reason an answer is made whole within them and written outside: who reads slowly holds up nobody.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.api.answering import KEPT_BYTES_MAX, KEPT_MAX
from controlplane.api.problems import Refusal
from controlzero.errors import ControlZeroError
from topics.problems import PROBLEM_JSON

BODY_BYTES_MAX = 2 * 2**20  # thousands of rules; the largest policies are applied by `cz policy apply`
BODY_READ_S_MAX = 30.0
AT_ONCE_MAX = 512  # hundreds of agents that start together ask for their sessions; most wait their turn
ANSWERED_AT_ONCE = 4  # threads that work for one interpreter are not faster by being many, and decisions come in beside them
HELD_BYTES_MAX = 64 * 2**20  # of bodies of all requests together
FAILURES_MAX = 30  # wrong keys of one address in FAILURES_S: far more than a person mistypes
FAILURES_S = 60.0
GOOD_S = 600.0  # a key that was taken so lately is not looked up before its body is taken in
REMEMBERED_MAX = 10_000  # addresses, and keys; past it all are forgotten

# What is bounded, by how much, and what follows; the reference holds the same rows.
LIMITS: tuple[tuple[str, str, str], ...] = (
    ("Body of a change", f"{BODY_BYTES_MAX // 2**20} MiB", "413 `body-too-large`"),
    ("Changes and questions at once", f"{AT_ONCE_MAX}, {HELD_BYTES_MAX // 2**20} MiB of bodies", "503 `too-many-requests-at-once`"),
    (
        "Answers kept for an `Idempotency-Key`",
        f"a day, {KEPT_MAX:,} of an organisation, {KEPT_BYTES_MAX // 2**20} MiB of these",
        "the oldest are forgotten",
    ),
    ("Wrong keys of one address", f"{FAILURES_MAX} in {FAILURES_S:.0f} s", "429 `too-many-failed-keys`"),
)


class Bounded:
    """An application whose requests arrive whole and bounded, or are refused. `admit` raises `Refusal` for who has no key; it may block."""

    def __init__(self, app: ASGIApp, *, admit: Callable[[str | None], object], monotonic: Callable[[], float]) -> None:
        self._app = app
        self._admit = admit
        self._monotonic = monotonic
        self._at_once = 0
        self._held = 0  # bytes of bodies
        self._turns = asyncio.Semaphore(ANSWERED_AT_ONCE)
        self._failures: dict[str, list[float]] = {}  # address: when a key of it was refused lately
        self._good: dict[bytes, float] = {}  # the digest of a key that was taken lately, and when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        address = str((scope.get("client") or ("",))[0])
        headers = dict(reversed(scope["headers"]))  # of a header that is there twice the first counts, as it does in the application
        authorization = headers.get(b"authorization", b"")
        key = hashlib.sha256(authorization).digest()
        watched = self._watched(address, key, send)
        answer: list[Message] = []

        async def made(message: Message) -> None:
            answer.append(message)

        self._at_once += 1
        try:
            if self._at_once > AT_ONCE_MAX:
                raise Refusal("too-many-requests-at-once", f"{AT_ONCE_MAX} requests are being answered.", retry_after_s=1)
            lately = self._lately(address)
            if not self._is_good(key) and (_has_body(headers) or len(lately) >= FAILURES_MAX):
                await self._let_in(authorization, lately)
            await self._answer(scope, receive, made)
        except Refusal as refusal:
            answer = _refused(refusal)
        finally:
            self._at_once -= 1
            for message in answer:  # also of a failure, which goes on to the server's log
                await watched(message)

    async def _answer(self, scope: Scope, receive: Receive, made: Send) -> None:
        with self._holding() as hold:
            body = await _whole(receive, hold)
            if body is not None:
                async with self._turns:
                    await self._app(scope, _given(body, receive), made)

    @contextmanager
    def _holding(self) -> Iterator[Callable[[int], None]]:
        """Give what counts the bytes that are held, until the block ends. It raises `Refusal` (503) past the bound."""
        own = 0

        def hold(count: int) -> None:
            nonlocal own
            own += count
            self._held += count
            if count and self._held > HELD_BYTES_MAX:
                raise Refusal("too-many-requests-at-once", "The bodies of all requests are at their bound.", retry_after_s=1)

        try:
            yield hold
        finally:
            self._held -= own

    async def _let_in(self, authorization: bytes, lately: list[float]) -> None:
        """Raise `Refusal` for who has no key: who has one is not kept out by those at the same address that guess."""
        try:
            with suppress(ControlZeroError):  # the application says what is wrong
                async with self._turns:
                    await run_in_threadpool(self._admit, authorization.decode("latin-1") or None)
        except Refusal:
            if len(lately) < FAILURES_MAX:
                raise
            wait_s = FAILURES_S - (self._monotonic() - lately[0])
            raise Refusal("too-many-failed-keys", f"{len(lately)} keys of your address were refused.", retry_after_s=wait_s) from None

    def _is_good(self, key: bytes) -> bool:
        return self._monotonic() - self._good.get(key, -GOOD_S) < GOOD_S

    def _lately(self, address: str) -> list[float]:
        since = self._monotonic() - FAILURES_S
        return [at for at in self._failures.get(address, ()) if at > since]

    def _watched(self, address: str, key: bytes, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._good.pop(key, None)
                if len(self._failures) >= REMEMBERED_MAX:
                    self._failures.clear()
                self._failures[address] = [*self._lately(address), self._monotonic()]
            elif message["type"] == "http.response.start" and message["status"] < 300:
                if len(self._good) >= REMEMBERED_MAX:
                    self._good.clear()
                self._good[key] = self._monotonic()
            await send(message)

        return watched


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def _whole(receive: Receive, hold: Callable[[int], None]) -> bytes | None:
    """Return the whole body, None where the client left. Raises `Refusal` (408, 413), and what `hold` raises for each piece."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_READ_S_MAX):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                hold(len(pieces[-1]))
                if size > BODY_BYTES_MAX:
                    raise Refusal("body-too-large", f"The body is longer than {BODY_BYTES_MAX:,} bytes.")
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        raise Refusal("body-too-slow", f"{size:,} bytes came in {BODY_READ_S_MAX:g} s, not the last one.") from None


def _given(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body once, and then only says when the client leaves."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return messages.pop() if messages else await receive()

    return given


def _refused(refusal: Refusal) -> list[Message]:
    """Return the refusal as an answer that closes: a body that was not read is in the way of the next request."""
    said = {"Connection": "close", "Content-Type": PROBLEM_JSON, "Content-Length": str(len(refusal.body)), **refusal.headers}
    headers = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    return [
        {"type": "http.response.start", "status": refusal.status, "headers": headers},
        {"type": "http.response.body", "body": refusal.body},
    ]
