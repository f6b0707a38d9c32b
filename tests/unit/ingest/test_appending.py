import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from controlzero.errors import Unavailable
from ingest.appending import Appender, DiskNearlyFull, check_space
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog


class SlowLog(SqliteLog):
    """A log whose first commit waits for a word, and which counts its appends."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on = threading.Event()
        self.appends: list[int] = []

    def append(self, topic: str, messages: Sequence[tuple[bytes, bytes | None, dict[str, str]]]) -> list[tuple[int, int]]:
        self.go_on.wait(10)
        self.appends.append(len(messages))
        return super().append(topic, messages)


def test_what_arrives_during_a_commit_shares_the_next_one(tmp_path: Path) -> None:
    async def run() -> list[tuple[int, int]]:
        appender = Appender(log, DECISIONS.name)
        first = asyncio.ensure_future(appender.append(lambda: (b"k", b"0", {})))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(appender.append(lambda n=n: (b"k", b"%d" % n, {}))) for n in range(1, 10)]
        await asyncio.sleep(0)
        log.go_on.set()
        places = await asyncio.gather(first, *others)
        await appender.close()
        return places

    log = SlowLog(tmp_path / "log.db")
    places = asyncio.run(run())
    assert log.appends == [1, 9]
    partition = places[0][0]
    assert places == [(partition, offset) for offset in range(10)]
    assert [message.value for message in log.read(DECISIONS.name, partition, 0, bytes_max=1 << 20)] == [b"%d" % n for n in range(10)]
    log.close()


def test_each_who_waits_is_told_of_a_failure_and_the_next_append_is_tried_anew(tmp_path: Path) -> None:
    async def run() -> None:
        appender = Appender(log, DECISIONS.name)

        def broken() -> tuple[bytes, bytes | None, dict[str, str]]:
            raise Unavailable("no space")

        answers = await asyncio.gather(
            appender.append(broken), appender.append(lambda: (b"k", b"", {})), return_exceptions=True
        )  # fmt: skip
        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert (await appender.append(lambda: (b"k", b"", {})))[1] == 0
        await appender.close()

    log = SqliteLog(tmp_path / "log.db")
    asyncio.run(run())
    log.close()


def test_one_who_no_longer_waits_does_not_stop_the_others(tmp_path: Path) -> None:
    async def run() -> None:
        appender = Appender(log, DECISIONS.name)
        left, stayed = (asyncio.ensure_future(appender.append(lambda: (b"k", b"", {}))) for _ in range(2))
        left.cancel()
        log.go_on.set()
        assert (await stayed)[1] == 1
        await appender.close()

    log = SlowLog(tmp_path / "log.db")
    asyncio.run(run())
    log.close()


def filesystem(free: int, size: int) -> os.statvfs_result:
    return os.statvfs_result((1, 1, size, free, free, 0, 0, 0, 0, 255))


@pytest.mark.parametrize(
    ("free", "size", "is_enough"),
    [(64 * 2**20, 2**40, True), (64 * 2**20 - 1, 2**40, False), (5 * 2**20, 100 * 2**20, True), (5 * 2**20 - 1, 100 * 2**20, False)],
    ids=["enough", "too little", "enough of a small disk", "too little of a small disk"],
)
def test_space_is_left_to_land_what_was_accepted(tmp_path: Path, free: int, size: int, is_enough: bool) -> None:
    if is_enough:
        check_space(tmp_path, statvfs=lambda _: filesystem(free, size))
    else:
        with pytest.raises(DiskNearlyFull, match="MiB are free"):
            check_space(tmp_path, statvfs=lambda _: filesystem(free, size))
