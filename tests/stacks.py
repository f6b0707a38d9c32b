"""The product as processes over a folder of its own, and its command line: what stack tests drive."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cz.home import Home
from cz.up import Stack, no_preparation, running_stack
from tests.ports import free_port


@contextmanager
def stack_over(folder: Path, *, restarts: bool = False) -> Iterator[Stack]:
    """Run gateway, worker, watch and keeper over `folder`; a restart nobody asked for fails the test."""
    said: list[str] = []
    with running_stack(
        Home(folder),
        host="127.0.0.1",
        port=free_port(),
        dashboards_port=None,
        environment=_environment(),
        prepare=no_preparation,
        say=said.append,
    ) as stack:
        yield stack
    assert restarts or said == []


def cz(home: Path, *arguments: str | Path, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Run one command over `home` and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "cz", *map(str, arguments)],
        env={**_environment(), "CZ_HOME": str(home), "CZ_ACTOR": "tester"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _environment() -> dict[str, str]:
    """Return this process's environment without settings of ours, but for where the ledger is."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CZ_", "CONTROLZERO_")) or name == "CZ_WAREHOUSE"}


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the object a command printed on its last line; fail with what it said where it did not."""
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer
