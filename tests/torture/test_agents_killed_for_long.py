"""As the crash test of agents, for as long as it takes to hit what a dozen kills do not."""

from pathlib import Path

from controlzero.testing import InMemoryGateway
from tests.dying_agents import check_sum, deliver_the_rest, kill_agents, nursery
from tests.served_double import served

KILLS = 150


def test_what_guard_returned_arrives_once_after_many_kills(tmp_path: Path) -> None:
    gateway = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")
    with served(gateway) as port:
        url = f"http://127.0.0.1:{port}"
        with nursery(url, tmp_path) as agents:
            kill_agents(agents, kills=KILLS, seed=11, alive_s_max=0.4)
        deliver_the_rest(url, tmp_path)
    assert len(agents.returned()) > KILLS
    check_sum(gateway, agents.returned())
