"""Keys, bundles, modes and orders kept up to date from the control topic, and told to those who wait for a change."""

import asyncio

import structlog

from topics.control import ControlFollower, ControlState
from topics.log import Log

POLL_S = 0.25  # how long a new key, mode or order takes to be known
ASKED_POLL_S_MIN = 0.05  # an unknown key asks for a look at once, but a flood of them does not make a flood of looks

_logger = structlog.get_logger("ingest.following")


class Following:
    """The control topic as one process sees it. The state stays what it was while the log does not answer."""

    def __init__(self, log: Log) -> None:
        self._follower = ControlFollower(log)
        self._polled = asyncio.Event()
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()
        self._begun = self._ended = 0  # looks
        self._problems_told = 0
        self._is_troubled = False  # and that was told
        self.is_current = False  # the last look succeeded
        self.has_looked = False  # one did

    @property
    def state(self) -> ControlState:
        """All keys, bundles and projects known now."""
        return self._follower.state

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._asked.clear()
            self._begun += 1
            await self._poll()
            self._ended = self._begun
            polled, self._polled = self._polled, asyncio.Event()
            polled.set()
            await asyncio.sleep(ASKED_POLL_S_MIN)
            try:
                async with asyncio.timeout(POLL_S - ASKED_POLL_S_MIN):
                    await self._asked.wait()
            except TimeoutError:
                pass

    async def _poll(self) -> None:
        try:
            changed = await asyncio.to_thread(self._follower.poll)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and looked again
            if not self._is_troubled:
                _logger.error(
                    "The control topic cannot be read; keys and bundles stay as they are.", why=f"{type(error).__name__}: {error}"
                )
            self.is_current, self._is_troubled = False, True
            return
        if self._is_troubled:
            _logger.info("The control topic is read again.")
        self.is_current, self.has_looked, self._is_troubled = True, True, False
        for problem in self._follower.problems[self._problems_told :]:
            _logger.error("A control message was passed over.", why=problem)
        self._problems_told = len(self._follower.problems)
        if changed:
            changed_event, self._changed = self._changed, asyncio.Event()
            changed_event.set()

    async def look_now(self) -> None:
        """Return after a look at the topic that began after this call, whether it succeeded or not."""
        wanted = self._begun + 1
        while self._ended < wanted:
            self._asked.set()
            await self._polled.wait()

    async def change(self, wait_s: float) -> bool:
        """Wait for a change, at most `wait_s`; say whether there was one."""
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def release(self) -> None:
        """Let all who wait go: the gateway is stopping."""
        self._changed.set()
