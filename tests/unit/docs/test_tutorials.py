"""The tutorials run as they stand, from the top: each policy is put in force where the page applies it, each mode where it sets it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlzero.testing import InMemoryGateway
from tests.model_stub import model_stub
from tests.served_double import served
from tests.waiting import until

FOLDER = Path(__file__).parents[3] / "docs" / "tutorial"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


class Follower:
    """Somebody who follows a page, with a project that is log-only at first."""

    def __init__(self) -> None:
        self.gateway = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="log-only")
        self.gateway.put_session(secrets={"openai": "sk-out-of-the-vault"})
        self.names: dict[str, Any] = {}
        self._policy: Any = {"rules": [{"effect": "allow", "action": "*"}]}
        self._mode: Any = "log-only"

    def follow(self, page: str) -> None:
        """Do what each block says."""
        for language, code in BLOCK.findall((FOLDER / page).read_text(encoding="utf-8")):
            if language == "python":
                exec(code, self.names)
            elif language == "yaml":
                self._policy = yaml.safe_load(code)
                self._put()
            elif "cz mode set enforce" in code:
                self._mode = "enforce"
                self._put()

    def _put(self) -> None:
        self.gateway.put_policy(self._policy, mode=self._mode)
        if "cz" in self.names:
            source = self.names["cz"].governance.source
            until(
                lambda: (
                    [each.name for each in source.governed.compiled.policies] == [self._policy["name"]]
                    and source.governed.mode == self._mode
                ),
                "the change",
            )


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    for name in [name for name in os.environ if name.startswith("CONTROLZERO_")]:
        monkeypatch.delenv(name)
    follower = Follower()
    with served(follower.gateway) as port, model_stub() as model:
        for name, value in {
            "CONTROLZERO_API_KEY": "cz_live_of_nobody",
            "CONTROLZERO_BASE_URL": f"http://127.0.0.1:{port}",
            "CONTROLZERO_SPOOL": str(tmp_path),
            "OPENAI_API_KEY": "sk-of-nobody",
            "OPENAI_BASE_URL": f"{model.url}/v1",
        }.items():
            monkeypatch.setenv(name, value)
        yield follower
        for name, value in follower.names.items():
            if name.endswith("client"):
                value.close()
        follower.names["cz"].close()


def test_the_openai_integration(follower: Follower, capsys: pytest.CaptureFixture[str]) -> None:
    follower.follow("openai-integration.md")
    assert capsys.readouterr().out.splitlines() == [
        "Paris.",
        "gpt-4 was answered",
        "gpt-4-turbo was denied: rule `openai-model-governance#3` of policy `openai-model-governance` says deny",
        "gpt-4o was denied: no rule matched; the default is deny",
        "gpt-4",
        "basic-support: rule `tiers#3` of policy `tiers` says deny",
    ]


def test_the_support_bot(follower: Follower, capsys: pytest.CaptureFixture[str]) -> None:
    follower.follow("support-bot.md")
    assert capsys.readouterr().out.splitlines() == [
        "lookup_order: {'order_id': 'A-1', 'status': 'shipped'}",
        "I may not do that. Refunds are approved by a person.",
        "escalate_to_human: {'escalated': True, 'reason': 'asked for'}",
    ]
    follower.names["cz"].flush()
    assert {decision.user_id for decision in follower.gateway.decisions()} == {"customer-17"}


def test_the_playbooks(follower: Follower, capsys: pytest.CaptureFixture[str]) -> None:
    follower.follow("playbooks.md")
    assert capsys.readouterr().out.splitlines() == [
        "multi-agent-governance rule `multi-agent-governance#3` of policy `multi-agent-governance` says deny",
        "Not allowed: rule `multi-agent-governance#3` of policy `multi-agent-governance` says deny",
        "Paris.",
        "AAPL allow matched_rule",
        "BTC deny matched_rule",
        "TSLA deny default_deny",
    ]
