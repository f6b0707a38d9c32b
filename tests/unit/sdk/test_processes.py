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


DENIED_IN_A_POOL = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import controlzero

def act(url, folder):
    with controlzero.Client(api_key="cz_test_key", base_url=url, spool=folder, agent_id="worker") as cz:
        cz.enforce("shell.run", resource="host/secret-name")

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[3])) as pool:
        try:
            pool.submit(act, sys.argv[1], sys.argv[2]).result()
        except controlzero.PolicyDeniedError as denied:
            decision = denied.decision
            decision.outcome("denied", carried_out=False)
            print(denied, "|", decision.effect, decision.policy_id, decision.reason_code, decision.allowed, decision.resource)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_denial_in_a_pool_of_processes_reaches_who_asked(method: str, gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    gateway.put_policy({"name": "p", "rules": [{"effect": "deny", "action": "shell:*", "reason": "no shells"}]}, mode="enforce")
    script = tmp_path / "pool.py"
    script.write_text(DENIED_IN_A_POOL)
    command = [sys.executable, str(script), url, str(tmp_path / "spool"), method]
    root = str(Path(__file__).parents[3])
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": root}).stdout
    assert said.strip() == "shell:run is denied: no shells | deny p matched_rule False None"
    assert [(outcome.status, outcome.denial_unread) for outcome in gateway.outcomes()] == [("denied", False)]


GUARDS_A_THOUSAND_TIMES = """
import os, sys
from controlzero import Client
cz = Client(api_key="cz_test_key", base_url=sys.argv[1], spool=sys.argv[2])
cz.guard("database", "query")
os.write(1, b"BEGIN")
for number in range(1000):
    cz.guard("database", "query", args={"number": number})
os.write(1, b"END")
os._exit(0)
"""
WAITING = "network,fsync,fdatasync,sync_file_range,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,nanosleep,clock_nanosleep"


@pytest.mark.needs("strace")
def test_guard_waits_for_no_network_and_no_disk(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    gateway.is_taking = False  # there is a bundle, and records find no taker
    trace, script = tmp_path / "trace", tmp_path / "script.py"
    script.write_text(GUARDS_A_THOUSAND_TIMES)
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(trace),
        "-e",
        f"trace={WAITING},write",
        sys.executable,
        str(script),
        url,
        str(tmp_path / "spool"),
    ]
    subprocess.run(command, check=True, timeout=120, env={"PYTHONPATH": str(Path(__file__).parents[3])})
    calls = [line.split(None, 1) for line in trace.read_text(errors="replace").splitlines()]
    main = calls[0][0]
    of_main = [call for thread, call in calls if thread == main]
    begin, end = (next(place for place, call in enumerate(of_main) if f'write(1, "{word}"' in call) for word in ("BEGIN", "END"))
    asked = of_main[begin + 1 : end]
    assert sum(call.startswith("write(") for call in asked) == 1000, "each decision is one write to the page cache"
    assert [call for call in asked if not call.startswith(("write(", "<... write resumed>"))] == []


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
