"""The SDK in real processes: a light import, a forked agent, an end without a word."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero import Client
from controlzero.testing import InMemoryGateway
from tests.served_double import served

HEAVY = ("httpx", "cryptography", "zstandard", "openai", "asyncio", "re2", "yaml")


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]})


@pytest.fixture
def url(gateway: InMemoryGateway) -> Iterator[str]:
    with served(gateway) as port:
        yield f"http://127.0.0.1:{port}"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("module", ["controlzero", "controlzero.records", "controlzero.errors"])
def test_importing_the_vocabulary_loads_nothing_heavy(module: str) -> None:
    loaded = run("import sys; __import__(sys.argv[1]); print(*sys.modules)", module).split()
    assert [name for name in HEAVY if name in loaded] == []


def test_a_process_that_just_ends_delivers_and_ends_in_order(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    run(
        """
        import atexit, sys
        from controlzero import Client
        cz = Client(api_key="cz_test_key", base_url=sys.argv[1], spool=sys.argv[2])
        for _ in range(10):
            cz.guard("database", "query")
        """,
        url,
        str(tmp_path),
    )
    assert len(gateway.decisions()) == 10
    assert list(gateway.closed.values()) == [10]


def test_what_is_guarded_while_the_interpreter_shuts_down_is_kept(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    run(
        """
        import atexit, sys
        from controlzero import Client
        def late():
            assert cz.guard("database", "late").is_recorded
        atexit.register(late)
        cz = Client(api_key="cz_test_key", base_url=sys.argv[1], spool=sys.argv[2])
        atexit.register(late)
        """,
        url,
        str(tmp_path),
    )
    spooled = b"".join(path.read_bytes() for path in tmp_path.rglob("*.records"))
    assert len(gateway.decisions()) + spooled.count(b"\x1e") == 2


@pytest.mark.filterwarnings("ignore:This process")  # 3.12 warns of forking beside threads, which is the point
def test_a_forked_agent_delivers_as_a_producer_of_its_own(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    cz = Client(api_key="cz_test_key", base_url=url, spool=tmp_path)
    cz.guard("before", "fork")
    child = os.fork()
    if child == 0:
        try:
            cz.guard("in", "child")
            os._exit(0 if cz.close() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    cz.guard("after", "fork")
    assert cz.close()
    assert sorted(decision.action for decision in gateway.decisions()) == ["after:fork", "before:fork", "in:child"]
    assert sorted(gateway.closed.values()) == [1, 2]
    assert gateway.conflicts == []
