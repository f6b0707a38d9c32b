"""Batches of many requests appended together: one commit, one fsync, and each request answered once it is durable."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from controlzero.errors import Unavailable
from ingest.limits import DISK_FREE_BYTES_MIN, DISK_FREE_SHARE_MIN
from topics.log import Log, NewMessage, Place

MakeMessage = Callable[[], NewMessage]  # compressing is left to the appending thread: it needs no interpreter lock


class DiskNearlyFull(Unavailable):
    """The log would take the batch, but workers would lack the space to land and trim it."""


class Appender:
    """Appends to one topic of a log. What arrives while a commit is under way shares the next one."""

    def __init__(self, log: Log, topic: str, *, disk: Path | None = None) -> None:
        self._log = log
        self._topic = topic
        self._disk = disk
        self._waiting: list[tuple[MakeMessage, asyncio.Future[Place]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="append")
        self._appending: asyncio.Task[None] | None = None

    def append(self, make: MakeMessage) -> Awaitable[Place]:
        """Append the message that `make` returns; what is returned is awaited for its (partition, offset), durable by then.

        Raises `Unavailable` or `Tampered` as the log does.
        """
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.append((make, future))
        if self._appending is None:
            self._appending = asyncio.create_task(self._append_all())
        return future

    async def _append_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            together, self._waiting = self._waiting, []
            try:
                places = await loop.run_in_executor(self._thread, self._append_now, [make for make, _ in together])
            except Exception as error:  # noqa: BLE001 - whatever it is, each who waits is told
                for _, future in together:
                    if not future.cancelled():
                        future.set_exception(error)
            else:
                for (_, future), place in zip(together, places, strict=True):
                    if not future.cancelled():
                        future.set_result(place)
        self._appending = None

    def _append_now(self, makes: Sequence[MakeMessage]) -> list[Place]:
        if self._disk is not None:
            check_space(self._disk)
        return self._log.append(self._topic, [make() for make in makes])

    async def close(self) -> None:
        """Finish what waits."""
        if self._appending is not None:
            await self._appending
        self._thread.shutdown()


def check_space(disk: Path, *, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> None:
    """Raise `DiskNearlyFull` where the filesystem has less free space than workers need to drain the log."""
    filesystem = statvfs(disk)
    free = filesystem.f_bavail * filesystem.f_frsize
    wanted = min(DISK_FREE_BYTES_MIN, filesystem.f_blocks * filesystem.f_frsize * DISK_FREE_SHARE_MIN)
    if free < wanted:
        raise DiskNearlyFull(
            f"{disk}: {free / 2**20:,.0f} MiB are free, the gateway takes records from {wanted / 2**20:,.0f} MiB on; free some space",
            retry_after_s=5,
        )
