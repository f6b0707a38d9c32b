"""The gateway as a process: one event loop, one socket, a clean end."""

import asyncio
import logging
import signal
import socket
import sys
import time
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest import limits
from ingest.authentication import TokenBuckets
from ingest.beside import Beside, joined
from ingest.gateway import Gateway
from ingest.heartbeat import beat
from ingest.logside import LogSide
from ingest.metrics import Counts
from ingest.rest import rest_app
from ingest.settings import Settings
from topics.opening import is_on_kafka, open_log

_logger = structlog.get_logger("ingest.server")


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with an end to its patience: headers have a time and a size, which it leaves open, and answers a time."""

    header_since: float | None  # when the headers that are arriving began; None between requests and during bodies
    unread_since: float | None = None  # since when more of an answer waits to be read than the connection takes; None where it takes all

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request's headers."""
        super().connection_made(transport)
        self.header_since = self.loop.time()
        self.header_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what arrived; close on headers that never end."""
        super().data_received(data)
        if self.header_since is not None:
            self.header_bytes += len(data)
            if self.header_bytes > limits.HEADERS_BYTES_MAX:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Expect the headers of a further request."""
        super().on_message_begin()
        self.header_since = self.loop.time()
        self.header_bytes = 0

    def on_headers_complete(self) -> None:
        """Leave the rest to the application, which has bounds of its own."""
        self.header_since = None
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Write no more until what waits is read."""
        super().pause_writing()
        self.unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        self.unread_since = None

    def close_if_overdue(self, now: float) -> None:
        """Close on headers that take too long, and on who does not read what was asked for."""
        if self.header_since is not None and now - self.header_since > limits.HEADERS_READ_S_MAX:
            self.transport.close()
        if self.unread_since is not None and now - self.unread_since > limits.ANSWER_READ_S_MAX:
            self.transport.abort()  # closing would wait for what is unread


class GatewayServer(uvicorn.Server):
    """uvicorn's server, which ends what is overdue, and on a signal lets go of requests that only wait for a change."""

    def __init__(self, config: uvicorn.Config, log_side: LogSide) -> None:
        super().__init__(config)
        self._log_side = log_side

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens, once it does."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port, *_ = listener.getsockname()
            _logger.info("The gateway listens.", host=host, port=port)

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections once a second; uvicorn ticks ten times."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, PatientProtocol):
                    connection.close_if_overdue(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end: no new connections, the requests there are finish."""
        super().handle_exit(sig, frame)
        self._log_side.release()


def gateway_over(settings: Settings, beside: Beside | None = None) -> tuple[Gateway, LogSide]:
    """Return the gateway's application over the data folder, and its side of the log; `beside` answers what it has no route for."""
    counts = Counts()
    heartbeat = settings.heartbeat_path(is_one_of_many=is_on_kafka())
    log_side = LogSide(lambda: open_log(settings.log_path), disk=settings.home)
    own = rest_app(log_side, counts, home=settings.home, clock=_now, beside=beside)
    gateway = Gateway(
        log_side,
        counts,
        TokenBuckets(per_s=settings.rate_lines_per_s, burst=settings.rate_burst_lines),
        rest=own if beside is None else joined(own, beside.app),
        clock=_now,
        monotonic=time.monotonic,
        beat=lambda: beat(heartbeat, counts, log_side, clock=_now),
    )
    return gateway, log_side


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve the gateway alone until SIGTERM or SIGINT. A port of 0 takes a free one; the log says which."""
    serve_gateway(*gateway_over(settings), host=host, port=port)


def serve_gateway(gateway: Gateway, log_side: LogSide, *, host: str, port: int) -> None:
    """Serve a gateway until SIGTERM or SIGINT."""
    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal once more after its clean end: that is the end
        signal.signal(number, _end)
    config = uvicorn.Config(
        gateway,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here depends on the client's address
        server_header=False,
        timeout_keep_alive=int(limits.KEEP_ALIVE_S),
        timeout_graceful_shutdown=limits.SHUTDOWN_S_MAX,
    )
    GatewayServer(config, log_side).run([config.bind_socket()])


def _now() -> int:
    return time.time_ns() // 1_000


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def configure_logging() -> None:
    """Log sentences with fields, one JSON object a line on standard error; those of libraries from warnings on."""
    before: list[structlog.types.Processor] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    rendered: list[structlog.types.Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(processors=[*before, *rendered], logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    handler = logging.StreamHandler()
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=[remove_meta, *rendered]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
