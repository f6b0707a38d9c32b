"""docs/tutorial/call-tools.md runs as it stands, from the top: what its commands do is done where the page says them."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from controlzero.session import McpCommandTool
from controlzero.testing import InMemoryGateway
from tests.served_double import served
from tests.waiting import until

PAGE = (Path(__file__).parents[3] / "docs" / "tutorial" / "call-tools.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)


class Follower:
    """Somebody who follows the page, with a project that is log-only at first."""

    def __init__(self, folder: Path) -> None:
        self.gateway = InMemoryGateway(policy={"name": "first", "rules": [{"effect": "allow", "action": "*"}]}, mode="log-only")
        self.names: dict[str, Any] = {}
        self._folder = folder
        self._policy: Any = None

    def follow(self) -> None:
        for language, code in BLOCKS:
            if language == "yaml":
                self._policy = yaml.safe_load(code)
            elif language == "sh":
                for line in code.splitlines():
                    self._command(shlex.split(line))
            elif "server.run" in code:
                (self._folder / "notes.py").write_text(code)
            else:
                exec(code, self.names)

    def _command(self, words: list[str]) -> None:
        if words[:4] == ["cz", "mode", "set", "enforce"]:
            self.gateway.put_policy(self._policy, mode="enforce")
            source = self.names["cz"].governance.source
            until(lambda: source.governed.mode == "enforce", "the mode")
        elif words[:3] == ["cz", "tools", "set"]:
            command = tuple(shlex.split(words[words.index("--command") + 1]))
            self.gateway.put_session(tools=[McpCommandTool(name=words[3], command=command)])
        elif words[:3] == ["cz", "policy", "export"]:
            with httpx.Client(transport=self.gateway, base_url="http://gateway") as http:
                answer = http.get("/v1/bundle")
            file = self._folder / words[3]
            file.write_bytes(answer.content)
            file.with_suffix(".pub").write_text(answer.headers["CZ-Signing-Key"])


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in os.environ if name.startswith("CONTROLZERO_")]:
        monkeypatch.delenv(name)
    follower = Follower(tmp_path)
    with served(follower.gateway) as port:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        monkeypatch.setenv("CONTROLZERO_API_KEY", "cz_live_of_nobody")
        monkeypatch.setenv("CONTROLZERO_BASE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
        follower.follow()
    assert capsys.readouterr().out.splitlines() == [
        "['rows of: SELECT * FROM orders']",
        "['rows of: SELECT 1']",
        "Blocked: database:drop is denied: Nobody drops tables.",
        "Policy: analysts",
        "monday: call the auditor",
        "Blocked: notes:erase_note is denied: Notes are kept.",
        "['monday: call the auditor', 'tuesday: call the auditor']",
        "['rows of: SELECT 2']",
    ]
