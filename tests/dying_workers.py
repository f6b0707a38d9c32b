"""Workers that are killed at their N-th write, fsync, link, rename or removal: forked from one process that has imported all.

Run as a process: reads orders (`Order`, JSON) line by line, runs one worker for each until the log is empty or the worker
is dead, and answers each with a `Death`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

CALLS = ("write", "fsync", "link", "rename", "replace", "unlink")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Run a worker over `home`, at most `messages` a commit, and kill it at its `nth` call, before or after the call itself."""

    home: str
    messages: int
    nth: int | None = None
    after: bool = False


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: the call it died at, or None where it landed all there was."""

    call: str | None
    error: str | None = None


def main() -> None:
    """Answer orders until there are no more."""
    import pandas  # noqa: F401, ICN001 - what is imported at first use is imported once, not by each child
    import pytz  # noqa: F401

    import processors.embedded as embedded

    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(embedded, order, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            told = said.read().decode()
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status)
        death = Death(call=told or "?" if died else None, error=None if died or status == 0 else told or f"exit {status}")
        sys.stdout.buffer.write(msgspec.json.encode(death) + b"\n")
        sys.stdout.buffer.flush()


def _work(embedded: object, order: Order, tell: int) -> None:
    from processors.settings import Settings
    from processors.taking import Portion
    from topics.sqlite import SqliteLog

    write = os.write
    try:
        _arm(order, tell)
        settings = Settings(home=Path(order.home))
        worker = embedded.open_worker(settings, SqliteLog(settings.log_path), portion=Portion(messages_max=order.messages))  # type: ignore[attr-defined]
        while worker.tick() != "idle":
            pass
    except BaseException as error:  # noqa: BLE001 - the child tells and ends, whatever it is
        write(tell, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os._exit(0)


def _arm(order: Order, tell: int) -> None:
    """Count the calls that change a disk, and die at the one that was ordered."""
    left, write = [order.nth if order.nth is not None else -1], os.write

    def counted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def counting(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0 and not order.after:
                die(name)
            answer = call(*arguments, **named)
            if left[0] == 0:
                die(name)
            return answer

        return counting

    def die(name: str) -> None:
        write(tell, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))


@contextmanager
def dying_workers() -> Iterator[Callable[[Order], Death]]:
    """Give a function that runs one worker by an order."""
    process = subprocess.Popen([sys.executable, "-m", "tests.dying_workers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run(order: Order) -> Death:
        stdin.write(msgspec.json.encode(order) + b"\n")
        stdin.flush()
        return msgspec.json.decode(stdout.readline(), type=Death)

    try:
        yield run
    finally:
        stdin.close()
        process.wait(30)
        stdout.close()


if __name__ == "__main__":
    main()
