"""The gateway's side of the log: opened, followed and appended to, and tried again by itself where that fails."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from controlzero.errors import ControlZeroError, Tampered, Unavailable
from ingest.appending import Appender, DiskNearlyFull, MakeMessage, check_space
from ingest.authentication import key_of
from ingest.following import Following
from ingest.problems import Refusal
from topics.control import ControlState, KeyRecord, Scope
from topics.declarations import DECISIONS
from topics.log import Log, Place

OPEN_AGAIN_S = 1.0
TROUBLE_S = 5.0  # how long a failed append makes the gateway unready: without deliveries nothing would show that it is over

_logger = structlog.get_logger("ingest.logside")


class LogSide:
    """The log while the gateway lives. `open_log` may block, and fail."""

    def __init__(self, open_log: Callable[[], Log], *, disk: Path | None = None) -> None:
        self._open_log = open_log
        self._disk = disk
        self._log: Log | None = None
        self._appender: Appender | None = None
        self._following: Following | None = None
        self._living: asyncio.Task[None] | None = None
        self.is_stopping = False
        self.used_at: dict[str, int] = {}  # key id: when it was last used, for whoever keeps that
        self._troubled_at_s = 0.0
        self._trouble: ControlZeroError | None = Unavailable("the log is not open yet", retry_after_s=OPEN_AGAIN_S)

    def start(self) -> None:
        """Open the log and follow it, in the background."""
        self._living = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while self._log is None:
            try:
                self._log = await asyncio.to_thread(self._open_log)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and tried again
                trouble = error if isinstance(error, ControlZeroError) else Unavailable(f"the log cannot be opened: {error!r}")
                if str(trouble) != str(self._trouble):
                    _logger.error("The log cannot be opened; it is tried again every second.", why=str(trouble))
                self._trouble = trouble
                await asyncio.sleep(OPEN_AGAIN_S)
        self._trouble = None
        self._appender = Appender(self._log, DECISIONS.name, disk=self._disk)
        self._following = Following(self._log)
        await self._following.run()

    async def stop(self) -> None:
        """Finish the appends that wait, then close the log."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
        if self._appender is not None:
            await self._appender.close()
        if self._log is not None:
            await asyncio.to_thread(self._log.close)

    def release(self) -> None:
        """Let those go who wait for a change: the gateway is stopping."""
        self.is_stopping = True
        if self._following is not None:
            self._following.release()

    async def sender(self, authorization: bytes | None, scope: Scope, *, at: int) -> KeyRecord:
        """Return the key of a request; one not known yet may have been made this moment, so look again. Raises `Refusal`."""
        try:
            key = key_of(self.state, authorization, scope, at=at)
        except Refusal as refusal:
            if refusal.slug != "unknown-key":
                raise
            await self.following.look_now()
            key = key_of(self.state, authorization, scope, at=at)
        self.used_at[key.key_id] = at
        return key

    @property
    def following(self) -> Following:
        """Keys, bundles and modes. Raises `Refusal` (503) before the control topic was read once."""
        if self._following is None or not self._following.has_looked:
            raise Refusal("starting", "The keys are not known yet: the log is being opened and read.", retry_after_s=OPEN_AGAIN_S)
        return self._following

    @property
    def state(self) -> ControlState:
        """What the control topic says. Raises `Refusal` (503) before it was read once."""
        return self.following.state

    async def append(self, make: MakeMessage) -> Place:
        """Append a message to the decisions; return its place once it is durable. Raises `Unavailable`, `Tampered`."""
        if self._appender is None:
            raise self._trouble or Unavailable("the log is closed", retry_after_s=OPEN_AGAIN_S)
        try:
            place = await self._appender.append(make)
        except (Unavailable, Tampered) as error:
            if str(error) != str(self._trouble):
                _logger.error("Batches cannot be appended; senders are told to come again.", why=str(error))
            self._trouble, self._troubled_at_s = error, asyncio.get_running_loop().time()
            raise
        if self._trouble is not None:
            _logger.info("Batches are appended again.")
            self._trouble = None
        return place

    @property
    def trouble(self) -> str | None:
        """Why the log would not take a batch now, as far as is known, or cannot be followed; None where all is well."""
        is_recent = asyncio.get_running_loop().time() - self._troubled_at_s < TROUBLE_S
        if self._trouble is not None and (self._log is None or is_recent):
            return str(self._trouble)
        if self._following is None or not self._following.is_current:
            return "the control topic is not read"
        try:
            if self._disk is not None:
                check_space(self._disk)
        except DiskNearlyFull as error:
            return str(error)
        return None
