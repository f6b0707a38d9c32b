"""An agent killed at any moment: what guard() had returned is in the spool, and arrives once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero import Client
from controlzero.records import Loss
from controlzero.testing import InMemoryGateway
from tests.dying_agents import SPOOL_BYTES_AWAY, check_sum, deliver_the_rest, kill_agents, nursery, spools
from tests.served_double import served

KILLS = 12


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")


@pytest.fixture
def url(gateway: InMemoryGateway) -> Iterator[str]:
    with served(gateway) as port:
        yield f"http://127.0.0.1:{port}"


def test_what_guard_returned_arrives_once_however_agents_are_killed(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    with nursery(url, tmp_path) as agents:
        kill_agents(agents, kills=KILLS, seed=3, alive_s_max=0.12)
    deliver_the_rest(url, tmp_path)
    assert len(agents.returned()) > KILLS
    check_sum(gateway, agents.returned())
    assert len(gateway.closed) == 1, "a killed producer's tail is not proven; only the last one ended in order"
    assert sum(record.count for record in gateway.records() if isinstance(record, Loss) and record.reason == "torn") <= KILLS


def test_agents_killed_while_the_gateway_is_away_leave_everything_to_later_ones(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    with nursery(url, tmp_path, spool_bytes_max=SPOOL_BYTES_AWAY) as agents:
        kill_agents(agents, kills=1, seed=4, alive_s_max=0.0)  # it leaves the bundle behind that the next ones judge by
        gateway.answers.extend([503] * 10_000)
        kill_agents(agents, kills=5, seed=5, alive_s_max=0.05)
    before = len(gateway.records())
    assert len(spools(tmp_path)) >= 5
    gateway.answers.clear()
    deliver_the_rest(url, tmp_path)
    assert len(gateway.records()) > before
    check_sum(gateway, agents.returned())


def test_a_gateway_that_goes_and_comes_back_gets_everything_once(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]})
    told: set[str] = set()
    with served(gateway) as port:
        cz = Client(api_key="cz_test_key", base_url=f"http://127.0.0.1:{port}", spool=tmp_path / "spool")
        told |= {cz.guard("before", "it").decision_id for _ in range(700)}
        assert cz.flush()
    told |= {cz.guard("while", "away").decision_id for _ in range(700)}
    assert not cz.flush()
    with served(gateway, port=port):
        assert cz.flush()
        told |= {cz.guard("after", "it").decision_id for _ in range(700)}
        assert cz.close()
    check_sum(gateway, told)
    assert len(gateway.decisions()) == 2_100
    assert list(gateway.closed.values()) == [2_100]
