"""The front door: the hot route `POST /v1/decisions` as plain ASGI, everything else handed on."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog
from msgspec.structs import replace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlzero.batch import encode_batch
from controlzero.errors import Tampered, Unavailable
from ingest import limits
from ingest.appending import DiskNearlyFull
from ingest.authentication import TokenBuckets, project_of
from ingest.delivery import Delivery, Headers, name_in, read_headers
from ingest.intake import Admitted, Intake, admit_body, admit_fine, expand_body, take_in
from ingest.logside import LogSide
from ingest.metrics import Counts
from ingest.problems import Refusal
from ingest.receiving import BodyReader, Disconnected
from topics.problems import PROBLEM_JSON

DECISIONS_PATH = "/v1/decisions"
BUNDLE_PATH = "/v1/bundle"
DRAINED_BYTES_MAX = 64 * 2**10  # what is left of a refused body is let in up to this, so that the sender reads the answer

_logger = structlog.get_logger("ingest.gateway")
_encode = msgspec.json.Encoder().encode


class Gateway:
    """An ASGI application over one log. `clock` tells microseconds since 1970, `monotonic` seconds; `beat` goes on beside it."""

    def __init__(
        self,
        log_side: LogSide,
        counts: Counts,
        buckets: TokenBuckets,
        *,
        rest: ASGIApp,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        beat: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        self._beat = beat
        self._log_side = log_side
        self._counts = counts
        self._buckets = buckets
        self._rest = rest
        self._clock = clock
        self._monotonic = monotonic
        self._reader = BodyReader(counts, monotonic=monotonic)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="admit")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            self._counts.requests_in_flight += 1
            try:
                if scope["path"] == DECISIONS_PATH:
                    await self._decisions(scope, receive, send)
                else:
                    await self._rest(scope, receive, self._counted(scope["path"], send))
            finally:
                self._counts.requests_in_flight -= 1

    def _counted(self, path: str, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counts.requests["bundle" if path == BUNDLE_PATH else "other", message["status"]] += 1
            await send(message)

        return counted

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._log_side.start()
        beside = [asyncio.create_task(self._reader.watch()), asyncio.create_task(self._beat())]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await self._log_side.stop()
        self._aside.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    async def _decisions(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        status, answer = 202, [(b"content-type", b"application/json")]
        try:
            body = await self._deliver(scope["method"], headers, receive)
        except Disconnected:
            return
        except Refusal as refusal:
            status, body, answer = self._refused(refusal, headers)
        except Exception as error:
            _logger.exception("A delivery failed; the sender is told to come again.", why=type(error).__name__)
            status, body, answer = self._refused(Refusal("internal", "The batch may or may not be in the log."), headers)
        answer.append((b"content-length", b"%d" % len(body)))
        self._counts.requests["decisions", status] += 1
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    def _refused(self, refusal: Refusal, headers: Headers) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        self._counts.problems[refusal.slug] += 1
        if refusal.status == 401:
            self._counts.unauthenticated += 1
        answer = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or int(length) > DRAINED_BYTES_MAX:
            answer.append((b"connection", b"close"))
        return refusal.status, refusal.body, [(b"content-type", PROBLEM_JSON.encode()), *answer]

    async def _deliver(self, method: str, headers: Headers, receive: Receive) -> bytes:
        """Take a delivery in, and return the answer once it is durable. Raises `Refusal` where it is not taken."""
        if method != "POST":
            raise Refusal("method-not-allowed", f"`{DECISIONS_PATH}` takes POST.", headers={"Allow": "POST"})
        if self._counts.requests_in_flight > limits.REQUESTS_MAX:
            raise Refusal("too-many-requests-at-once", f"{limits.REQUESTS_MAX:,} requests are being answered.", retry_after_s=1)
        key = await self._log_side.sender(headers.get(b"authorization"), "decisions:write", at=self._clock())
        project_id = project_of(self._log_side.state, key, name_in(headers, b"cz-project", "CZ-Project"))
        wait_s = self._buckets.wait_s(key.key_id, at_s=self._monotonic())
        if wait_s > 0:
            raise Refusal("rate-limited", f"The key {key.prefix}… has delivered more than its rate.", retry_after_s=wait_s)
        delivery = read_headers(headers)
        body = await self._reader.read(receive)
        held = len(body)
        try:
            intake = await self._taken_in(body, delivery, project_id)
            self._buckets.take(key.key_id, 1 + intake.admission.count, at_s=self._monotonic())
            self._reader.hold(intake.bytes_held)
            held += intake.bytes_held
            return await self._appended(intake)
        finally:
            self._reader.release(held)

    async def _taken_in(self, body: bytes, delivery: Delivery, project_id: str) -> Intake:
        admitted = self._admitted_inline(body, delivery)
        if admitted is None:
            admitted = await asyncio.get_running_loop().run_in_executor(self._aside, admit_body, body, delivery)
        lines, admission = admitted
        return take_in(body, lines, admission, delivery, project_id, received_at=self._clock())

    def _admitted_inline(self, body: bytes, delivery: Delivery) -> Admitted | None:
        """Admit a small and fine body here and now; any other is for beside the loop, one at a time, so that memory is bounded."""
        if len(body) > (limits.INLINE_BYTES_MAX if delivery.encoding == "identity" else limits.INLINE_COMPRESSED_BYTES_MAX):
            return None
        lines = expand_body(body, delivery)
        admission = admit_fine(lines) if len(lines) <= limits.INLINE_BYTES_MAX else None
        return None if admission is None else (lines, admission)

    async def _appended(self, intake: Intake) -> bytes:
        """Append the batch and return the answer. Raises `Refusal` (503) where the log does not take it."""
        began_s = self._monotonic()
        try:
            await self._log_side.append(lambda: encode_batch(replace(intake.batch, value=intake.value())))
        except DiskNearlyFull as error:
            raise Refusal(
                "disk-nearly-full", "There is too little free space to land more records.", retry_after_s=error.retry_after_s
            ) from error
        except Unavailable as error:
            raise Refusal("log-unavailable", "The log did not take the batch.", retry_after_s=error.retry_after_s or 1) from error
        except Tampered as error:
            raise Refusal("log-damaged", "The log is not what it was.", retry_after_s=60) from error
        self._counts.appended(self._monotonic() - began_s)
        admission = intake.admission
        self._counts.accepted += admission.count - len(admission.rejected)
        if admission.rejected:
            self._counts.rejected.update(Counter(line.code for line in admission.rejected))
            _logger.warning(
                "Lines of a batch were rejected and put in quarantine.",
                project_id=intake.batch.project_id,
                producer_id=intake.batch.producer_id,
                rejected=len(admission.rejected),
                of=admission.count,
            )
        return _encode(
            {
                "accepted": admission.count - len(admission.rejected),
                "rejected": admission.rejected,
                "received_at": intake.batch.received_at,
            }
        )
