"""The example of docs/how-to/govern-mcp-tools.md runs as it stands, against a real server; its settings are the command's."""

import json
import subprocess
import sys
from pathlib import Path

from cz.__main__ import command_line
from tests.how_to_pages import Page

ROOT = Path(__file__).parents[3]
PAGE = Page("govern-mcp-tools")


def test_the_example_runs(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(PAGE.the("yaml"))
    (tmp_path / "server.py").write_text((ROOT / "tests" / "mcp_servers.py").read_text().replace("sys.argv[1]", "'stdio'"))
    environment = {"CONTROLZERO_POLICY_FILE": "policy.yaml", "CONTROLZERO_SPOOL": "spool", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PAGE.the("python")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=60)
    assert "the text of notes.txt" in ended.stdout, ended.stderr
    assert "This agent may not write." in ended.stdout
    assert not (tmp_path / "notes.txt").exists()


def test_the_settings_of_the_page_are_those_of_the_command() -> None:
    arguments = json.loads(PAGE.the("json"))["mcpServers"]["files"]["args"]
    _, bound, _ = command_line("mcp-proxy").parse_args(arguments, exit_on_error=False, print_error=False)
    assert bound.kwargs["server"] == "files"
    assert bound.args[0] == "npx"
