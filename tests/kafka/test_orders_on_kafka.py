"""Kill switches over the compacted control topic of a real broker."""

from contextlib import closing
from pathlib import Path

import httpx
import pytest

from controlplane.service import ControlPlane
from tests.gateways import running_gateway, wait_until_ready
from tests.kafka_broker import Broker
from tests.stack.test_orders_reach_agents import POLICY, an_agent
from tests.stacks import cz, last_json
from topics.opening import open_log

DELIVERED_S_MAX = 2.0


@pytest.fixture
def key(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name the broker in the environment, make a log-only project there, and a key for its agents."""
    broker.name_in_environment(monkeypatch)
    with closing(open_log(tmp_path / "log.db")) as log, ControlPlane(tmp_path, log) as plane:
        plane.create_project("stopped", actor="test")
        plane.apply_policy("stopped", POLICY, actor="test")
        return plane.create_key(["stopped"], actor="test")[0]


def test_a_kill_switch_reaches_an_agent_over_kafka_and_so_does_its_end(tmp_path: Path, key: str) -> None:
    with running_gateway(tmp_path) as gateway:
        wait_until_ready(gateway)
        with an_agent(tmp_path, gateway.url, key, "bot") as bot:
            assert bot.call()[0]
            thrown = last_json(cz(tmp_path, "kill", "--agent", "bot", "--project", "stopped", "--reason", "it spends", "--json"))
            assert bot.is_soon(allowed=False, within_s=DELIVERED_S_MAX)
            assert bot.call() == (False, "order", "it spends", "allow")
            last_json(cz(tmp_path, "kill", "--lift", thrown["order"]["order_id"], "--json"))
            assert bot.is_soon(allowed=True, within_s=DELIVERED_S_MAX)
    with running_gateway(tmp_path) as again:  # a gateway that reads the topic from its start finds the tombstone too
        wait_until_ready(again)
        answer = httpx.get(f"{again.url}/v1/bundle", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert (answer.status_code, "cz-orders" in answer.headers) == (200, False)
