"""The product as processes over a folder of its own, and its command line: what stack tests drive."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cz.home import Home
from cz.up import Stack, no_preparation, running_stack
from tests.environments import without_ours
from tests.ports import free_port

WHERE_THE_LEDGER_IS = ("CZ_WAREHOUSE",)


@contextmanager
def stack_over(folder: Path, *, restarts: bool = False) -> Iterator[Stack]:
    """Run gateway, worker, watch and keeper over `folder`; a restart nobody asked for fails the test."""
    said: list[str] = []
    with running_stack(
        Home(folder),
        host="127.0.0.1",
        port=free_port(),
        dashboards_port=None,
        environment=without_ours(but=WHERE_THE_LEDGER_IS),
        prepare=no_preparation,
        say=said.append,
    ) as stack:
        yield stack
    assert restarts or said == []


def cz(home: Path, *arguments: str | Path, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Run one command over `home` and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "cz", *map(str, arguments)],
        env={**without_ours(but=WHERE_THE_LEDGER_IS), "CZ_HOME": str(home), "CZ_ACTOR": "tester"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the object a command printed on its last line; fail with what it said where it did not."""
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer
