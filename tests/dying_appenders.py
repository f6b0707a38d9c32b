"""Processes that append to a log and trim it under strace, which kills them, or refuses them, at the N-th of a system call.

Run as a program, this module is such a process: it appends numbered messages, says of each on standard output that it is
durable (`+7`), was refused (`-7 why`), or that the log was trimmed (`<5`), and ends when it has appended the last.
"""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controlzero.batch import partition_of
from controlzero.errors import Tampered, Unavailable
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog

KEY = b"project/producer"
PARTITION = partition_of(KEY, DECISIONS.partitions)
CALLS = {"pwrite64": 300, "fdatasync": 18, "flock": 30, "ftruncate": 2, "unlink": 2}  # and how many of each an appender of 12 makes
ERRORS = ("ENOSPC", "EIO", "EROFS", "EDQUOT")
REFUSALS_MAX = 50


@dataclass
class Run:
    """What a process said before it ended, and how it ended."""

    status: int
    appended: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    trimmed_below: int = 0


def run_appender(path: Path, first: int, count: int, *, inject: str | None = None, trims: bool = True) -> Run:
    """Append `count` messages from number `first` on in a process of its own, with a fault injected."""
    traced = (
        ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"] if inject else []
    )
    command = [*traced, sys.executable, "-m", "tests.dying_appenders", str(path), str(first), str(count), *(["trims"] if trims else [])]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    run = Run(done.returncode)
    for line in done.stdout.splitlines():
        match line[0]:
            case "+":
                run.appended.append(int(line[1:]))
            case "-":
                run.refused.append(line[1:])
            case "<":
                run.trimmed_below = int(line[1:])
    return run


def value_of(number: int) -> bytes:
    """Return a message's value: told by its number, of a size between nothing and many pages."""
    chance = random.Random(number)
    return b"%d " % number + chance.randbytes(chance.choice((0, 500, 5_000, 60_000)))


def held_by(log: SqliteLog) -> list[int]:
    """Return the numbers of the messages a log holds, in order; fail where one is torn or an offset is missing."""
    numbers: list[int] = []
    bounds = log.bounds(DECISIONS.name, PARTITION)
    offset = bounds.start
    while messages := log.read(DECISIONS.name, PARTITION, offset, bytes_max=1 << 22):
        for message in messages:
            assert message.offset == offset
            assert message.value is not None
            number = int(message.value.partition(b" ")[0])
            assert message.value == value_of(number)
            numbers.append(number)
            offset += 1
    assert offset == bounds.end
    return numbers


def assert_kept(path: Path, appended: Sequence[int], trimmed_below: int, *, repeats: bool) -> int:
    """Check that a log opens and holds each message that was said to be durable once, or after a refusal at least once; return its end."""
    log = SqliteLog(path)
    held = Counter(held_by(log))
    start, end = log.bounds(DECISIONS.name, PARTITION).start, log.bounds(DECISIONS.name, PARTITION).end
    log.close()
    assert start >= trimmed_below
    lost = [number for number in appended if number not in held]
    assert len(lost) <= start, f"{len(lost)} messages are gone, but only {start} were trimmed"
    assert lost == sorted(appended)[: len(lost)]
    assert repeats or max(held.values(), default=1) == 1
    return end


def main() -> None:
    """Append, trim now and then, and say so."""
    path, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    log: SqliteLog | None = None
    refusals = 0
    number = first
    while number < first + count:
        try:
            log = log or SqliteLog(path)
            [(_, offset)] = log.append(DECISIONS.name, [(KEY, value_of(number), {})])
            print(f"+{number}", flush=True)
            number += 1
            if number % 7 == 0 and "trims" in sys.argv:
                log.trim(DECISIONS.name, PARTITION, offset - 2)
                print(f"<{offset - 2}", flush=True)
        except Unavailable as error:
            print(f"-{number} {error}", flush=True)
            refusals += 1
            if refusals > REFUSALS_MAX:
                sys.exit(3)
        except Tampered as error:
            print(f"-{number} {error}", flush=True)
            sys.exit(4)
    assert log is not None
    log.close()


if __name__ == "__main__":
    main()
