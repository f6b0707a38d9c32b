"""Ports of this machine for servers of tests: one that nobody listens on, and when a process listens on it."""

import random
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress

from tests.waiting import WITHIN_S, until_up

HOST = "127.0.0.1"
BELOW_EPHEMERAL = range(20_000, 32_000)  # where no connection's own end comes to lie while a server is away, and none meets itself
_untried = iter(random.SystemRandom().sample(BELOW_EPHEMERAL, len(BELOW_EPHEMERAL)))


def free_port() -> int:
    """Return a port that nobody listens on and that is nobody's but who asks for it by number; each call returns another."""
    for port in _untried:
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise RuntimeError("no port is free")


def is_listening(port: int) -> bool:
    """Say whether somebody takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def until_listening(port: int, process: "subprocess.Popen[bytes]", said: Callable[[], object] = str, *, within_s: float = WITHIN_S) -> None:
    """Return once a process takes connections; fail with what it said where it ended instead."""
    until_up(process, lambda: is_listening(port), said, within_s=within_s)
