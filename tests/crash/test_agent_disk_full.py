"""An agent whose disk is full, limited or read-only: it goes on, nothing recorded is lost, and what was not is counted."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlzero.records import Loss
from controlzero.testing import InMemoryGateway
from tests.dying_agents import check_sum
from tests.served_double import served

# Fills its disk while the gateway is away, tells so, and goes on when it is told that the gateway is back.
AGENT = """
import json, os, resource, subprocess, sys
from controlzero import Client
url, folder, limit = sys.argv[1:]
os.environ["TMPDIR"] = folder + "/tmp"
os.mkdir(folder + "/tmp")
os.mkdir(folder + "/disk")
if limit.startswith("tmpfs"):
    subprocess.run(["mount", "-t", "tmpfs", "-o", limit.partition(":")[2], "none", folder + "/disk"], check=True)
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
cz = Client(api_key="cz_test_key", base_url=url, spool=folder + "/disk")
told, lost = [], 0
def act():
    global lost
    decision = cz.guard("report", "write", args={"fill": "x" * 700})
    assert decision.allowed
    if decision.is_recorded:
        told.append(decision.decision_id)
    else:
        lost += 1
    return decision.is_recorded
for _ in range(3000):
    act()
print("filled", flush=True)
sys.stdin.readline()
for _ in range(3):
    cz.flush()
    act()
delivered = cz.close()
print(json.dumps({"told": told, "lost": lost, "delivered": delivered, "left": os.listdir(folder + "/disk")}), flush=True)
"""


def can_mount() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")


@pytest.fixture
def url(gateway: InMemoryGateway) -> Iterator[str]:
    with served(gateway) as port:
        yield f"http://127.0.0.1:{port}"


def run_agent(gateway: InMemoryGateway, url: str, folder: Path, limit: str) -> Any:
    """Run the agent; its gateway takes no record before its disk is full."""
    gateway.is_taking = False
    wrapped = ["unshare", "--user", "--map-root-user", "--mount"] if limit.startswith("tmpfs") else []
    command = [*wrapped, sys.executable, "-c", AGENT, url, str(folder), limit]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdin is not None
        assert agent.stderr is not None
        assert agent.stdout.readline() == "filled\n", agent.stderr.read()
        gateway.is_taking = True
        said, complained = agent.communicate("go on\n", timeout=60)
    assert agent.returncode == 0, complained
    return json.loads(said)


def losses(gateway: InMemoryGateway) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in gateway.records():
        if isinstance(record, Loss):
            counts[record.reason] = counts.get(record.reason, 0) + record.count
    return counts


LIMITS = [
    pytest.param("100000", id="a limit on files"),
    pytest.param("tmpfs:size=600k", id="a full disk", marks=pytest.mark.skipif(not can_mount(), reason="mounting needs unshare")),
]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_full_disk_stops_no_agent_and_every_loss_is_counted(limit: str, gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    said = run_agent(gateway, url, tmp_path, limit)
    assert said["lost"] > 100, "the disk was full"
    assert said["delivered"]
    check_sum(gateway, set(said["told"]))
    counted = losses(gateway)
    assert sum(counted.values()) == said["lost"]
    assert set(counted) <= {"disk_full", "torn"}
    assert list(gateway.closed.values()) == [len(gateway.records())]


@pytest.mark.skipif(not can_mount(), reason="mounting needs unshare")
def test_a_read_only_disk_gives_way_to_a_folder_for_temporary_files(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    said = run_agent(gateway, url, tmp_path, "tmpfs:ro")
    assert (said["lost"], said["delivered"], said["left"]) == (0, True, [])
    check_sum(gateway, set(said["told"]))
    assert len(gateway.decisions()) == 3_003
