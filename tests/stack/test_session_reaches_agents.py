"""Secrets and tools on their way: set by command or over HTTP, read by an agent through the real SDK, and each key's use kept."""

import time
from pathlib import Path

import pytest

from controlzero import ControlZero
from controlzero.errors import Rejected
from tests.control_api import plane_over, tenant
from tests.gateways import running_gateway, wait_until_ready

SET_S_MAX = 30.0


def test_an_agent_has_its_projects_secrets_and_the_product_knows_who_read_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with plane_over(home) as plane:
        mine, _ = tenant(plane, "mine"), tenant(plane, "their")
        agents, agent = plane.create_key([mine.project], actor="ada", name="bot")
        narrow, _ = plane.create_key([mine.project], actor="ada", scopes=["decisions:write", "bundle:read", "session:read"])
    with running_gateway(home, module="cz.serve") as gateway:
        wait_until_ready(gateway)
        with gateway.client() as client:
            set_ = client.put(
                f"/v1/projects/{mine.project}/secrets/STRIPE_KEY",
                json={"value": "sk_live_of_mine"},
                headers={"Authorization": f"Bearer {mine.secret}"},
            )
            assert set_.status_code == 200
            assert "sk_live_of_mine" not in set_.text
        with ControlZero(agents, base_url=gateway.url, secrets_enabled=True, spool=tmp_path / "spool") as cz:
            assert cz.get_secret("STRIPE_KEY") == "sk_live_of_mine"
            with pytest.raises(Rejected, match="STRIPE_KEY"):
                cz.get_secret("their-secret")
            assert cz.guard("llm", "generate").verdict == "deny"
            assert cz.flush(timeout_s=SET_S_MAX)
        narrow_client = ControlZero(narrow, base_url=gateway.url, secrets_enabled=True, spool=tmp_path / "spool")
        with pytest.raises(Rejected, match="secrets:read"):
            narrow_client.initialize()
        assert gateway.ended() == 0  # the end keeps what the last half minute used
    said = (home / "gateway.log").read_text()
    assert "sk_live_of_mine" not in said
    assert agents not in said
    with plane_over(home) as plane:
        read = {secret.name: secret.last_read_by for secret in plane.list_secrets(mine.project)}
        used_at = {key.key_id: key.last_used_at for key in plane.list_keys(mine.project)}
    assert read["STRIPE_KEY"] == f"bot ({agent.key_id})"
    assert abs((used_at[agent.key_id] or 0) / 1e6 - time.time()) < 120
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"sk_live_of_mine" not in file.read_bytes(), file
