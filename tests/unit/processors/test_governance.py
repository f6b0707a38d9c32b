"""What governs a project, from the control topic's records to an evaluator."""

from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from controlzero.secrets_on_disk import trusted_keys
from processors.governance import Governor
from topics.control import ControlFollower, ControlState
from topics.sqlite import SqliteLog

POLICY = {"name": "p", "rules": [{"effect": "deny", "action": "shell:*"}]}
CANDIDATE = {"name": "q", "rules": [{"effect": "allow", "action": "*"}]}


@pytest.fixture
def state(tmp_path: Path) -> ControlState:
    log = SqliteLog(tmp_path / "log.db")
    with ControlPlane(tmp_path, log) as plane:
        plane.create_project("shop", actor="test")
        plane.create_project("bank", actor="test")
        plane.apply_policy("shop", POLICY, actor="test")
        plane.add_candidate("shop", CANDIDATE, actor="test")
        plane.set_mode("shop", "enforce", actor="test")
        plane.throw_order(project_id="shop", agent_id="bot", reason="it spends", actor="test")
    follower = ControlFollower(log)
    follower.poll()
    log.close()
    return follower.state


def test_a_project_is_judged_by_its_active_bundle_and_candidates(state: ControlState, tmp_path: Path) -> None:
    governance = Governor(lambda: trusted_keys(tmp_path)).govern(state)
    shop = governance.projects["shop"]
    assert shop.mode == "enforce"
    assert shop.active is not None
    assert shop.active.digest == state.projects["shop"].bundle_digest
    assert shop.active.compiled.decide(action="shell:run").verdict == "deny"
    assert [one.compiled.decide(action="shell:run").verdict for one in shop.candidates] == ["allow"]
    assert governance.bundle_of(shop.active.digest) is shop.active.compiled
    assert [order.agent_id for order in shop.orders] == ["bot"]
    assert governance.projects["bank"].orders == ()
    assert governance.bundle_of("unknown") is None


def test_a_project_without_a_policy_is_governed_by_its_mode_alone(state: ControlState, tmp_path: Path) -> None:
    bank = Governor(lambda: trusted_keys(tmp_path)).govern(state).projects["bank"]
    assert (bank.mode, bank.active) == ("log-only", None)


def test_a_bundle_nobody_trusted_signed_judges_nothing_and_is_told(state: ControlState) -> None:
    governor = Governor(dict)
    assert governor.govern(state).projects["shop"].active is None
    assert any("project `shop`" in problem for problem in governor.problems.values())


def test_a_bundle_is_opened_once_however_often_its_project_changes(state: ControlState, tmp_path: Path) -> None:
    asked: list[int] = []

    def trusted() -> dict[str, bytes]:
        asked.append(1)
        return trusted_keys(tmp_path)

    governor = Governor(trusted)
    first = governor.govern(state).projects["shop"]
    again = governor.govern(ControlState(projects=state.projects, bundles=state.bundles)).projects["shop"]
    assert first.active is again.active
    assert len(asked) == 2  # the active one and the candidate
