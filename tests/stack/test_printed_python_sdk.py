"""The Python of the document 001 runs as printed against the running product: its tools are in the session config, and really run."""

import ast
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlplane.service import ControlPlane
from controlzero.session import HttpTool, McpCommandTool
from cz.up import Stack
from tests import mcp_servers
from tests.http_servers import Answering, address, serving
from tests.printed import API_KEY, Reader, snippets, the_snippet
from tests.stacks import cz, stack_over
from topics.sqlite import SqliteLog

PROJECT = "analysts"
POLICY = {
    "name": "analysts-policy",
    "rules": [
        {"effect": "deny", "action": "filesystem:write_file", "reason": "Analysts read."},
        {"effect": "allow", "action": "mcp.tool:call", "resource": "mcp://filesystem/*"},
        {"effect": "allow", "action": "database:query"},
        {"effect": "allow", "action": "github:list_issues", "resource": "repo/acme/*"},
    ],
}
ROWS = [{"order": "A-1007"}]
TOKEN = "the-token-of-the-database"


class Tools(Answering):
    """The database and GitHub, as far as the document calls them."""

    def do_POST(self) -> None:
        asked = json.loads(self.body())
        answers: dict[str, Any] = {"/database/query": ROWS, "/github/list_issues": [f"an issue of {asked.get('repo')}"]}
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.answer_json(answers[self.path] if is_known else "who are you?", 200 if is_known else 401)


@pytest.fixture(scope="module")
def tools_url() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Tools)) as server:
        yield address(server)


@pytest.fixture(scope="module")
def home(tools_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the document's example key, and its tools in the session config of the project."""
    folder = tmp_path_factory.mktemp("home")
    files = McpCommandTool(name="filesystem", command=(sys.executable, str(Path(mcp_servers.__file__)), "stdio"))
    headers = {"Authorization": "Bearer ${secret:DATABASE_TOKEN}"}
    with (
        closing(SqliteLog(folder / "log.db")) as log,
        ControlPlane(folder, log, token=lambda _: API_KEY.removeprefix("cz_live_")) as plane,
    ):
        plane.create_project(PROJECT, actor="test")
        plane.apply_policy(PROJECT, POLICY, actor="test")
        plane.set_mode(PROJECT, "enforce", actor="test")
        plane.set_secret(PROJECT, "DATABASE_TOKEN", TOKEN, actor="test")
        for tool in (files, *(HttpTool(name=name, url=f"{tools_url}/{name}", headers=headers) for name in ("database", "github"))):
            plane.set_tool(PROJECT, tool, actor="test")
        assert plane.create_key([PROJECT], actor="test")[0] == API_KEY
    return folder


@pytest.fixture(scope="module")
def product(home: Path) -> Iterator[Stack]:
    with stack_over(home) as stack:
        yield stack


@pytest.fixture
def reader(product: Stack, tmp_path: Path) -> Reader:
    return Reader(product.api_url, "http://127.0.0.1:9", tmp_path)


def recorded(home: Path, agent: str) -> list[dict[str, Any]]:
    """Return an agent's decisions once they have landed."""
    for _ in range(30):
        lines = [json.loads(line) for line in cz(home, "decisions", "--project", PROJECT, "--json").stdout.splitlines()]
        if found := [line for line in lines if line["agent_id"] == agent]:
            return found
    raise AssertionError(f"nothing of {agent} has landed")


BASIC = the_snippet("001", 'client = ControlZeroClient(api_key="cz_live_your_api_key_here")\nclient.initialize()\n')


def test_the_basic_configuration(reader: Reader) -> None:
    assert reader.run(BASIC, "print(client.has_rust_engine)", project=PROJECT) == ["False"]


def test_the_agents_name_and_the_key_are_in_the_environment(reader: Reader, home: Path) -> None:
    code = the_snippet("001", 'os.environ["CZ_API_KEY"]')
    call = 'print(client.call_tool("database", "query", {"sql": "SELECT 1"}))\nclient.close()'
    assert reader.run(code, call, project=PROJECT, CZ_API_KEY=API_KEY, CZ_AGENT_NAME="my-analyst-agent") == [str(ROWS)]
    (decision,) = recorded(home, "my-analyst-agent")
    assert (decision["action"], decision["effect"], decision["mode"]) == ("database:query", "allow", "enforce")


@pytest.mark.parametrize("has_file", [True, False])
def test_the_advanced_configuration_with_and_without_its_file(reader: Reader, home: Path, has_file: bool) -> None:
    if has_file:
        assert cz(home, "policy", "export", reader.folder / "my-agent.czpolicy", "--project", PROJECT).returncode == 0
    code = the_snippet("001", 'policy_mode="hybrid"').replace("/var/cache", str(reader.folder))
    call = 'print(client.call_tool("database", "query"))'
    assert reader.run(code, call, project=PROJECT) == [str(ROWS)]


def test_a_tool_is_called(reader: Reader) -> None:
    assert reader.run(the_snippet("001", '"user_group": "analysts"'), project=PROJECT) == [str(ROWS)]


def test_a_denied_action_says_why(reader: Reader) -> None:
    assert reader.run(the_snippet("001", 'print(f"Blocked: {e}")'), project=PROJECT) == [
        "Blocked: filesystem:write_file is denied: Analysts read.",
        "Reason: Analysts read.",
        "Policy: analysts-policy",
    ]


def test_policies_are_refreshed_and_loaded(reader: Reader, home: Path) -> None:
    assert cz(home, "policy", "export", reader.folder / "my-agent.czpolicy", "--project", PROJECT).returncode == 0
    refresh, load = the_snippet("001", "client.sync_policies()"), the_snippet("001", "client.load_policy_bundle(")
    load = load.replace("/var/cache", str(reader.folder))
    assert reader.run(BASIC, f"print({refresh.strip()}, {load.strip()})", project=PROJECT) == ["True True"]
    assert reader.run(BASIC, refresh, load, 'print(client.call_tool("database", "query"))', project=PROJECT) == [str(ROWS)]


def test_the_context_manager(reader: Reader) -> None:
    assert reader.run(the_snippet("001", '"list_issues"'), "print(result)", project=PROJECT) == ["['an issue of acme/app']"]


def test_the_async_client(reader: Reader) -> None:
    assert reader.run(the_snippet("001", "asyncio.run(main())"), project=PROJECT) == [str(ROWS)]


def test_error_handling(reader: Reader, home: Path) -> None:
    code = the_snippet("001", "except BundleTamperError:")
    assert reader.run(code, "print(result)", project=PROJECT) == [str(ROWS)]
    skipped = code.replace("client.initialize()", "pass")
    assert reader.run(skipped, project=PROJECT) == [
        "Client not ready: ControlZeroClient is not initialized: call initialize() first, or use it in a `with` block"
    ]


def test_an_mcp_server_is_called(reader: Reader) -> None:
    code = the_snippet("001", "MCP server name")
    assert reader.run(code, "print(result)", project=PROJECT) == ["the text of /data/report.pdf"]


def test_every_snippet_of_the_document_is_run_above() -> None:
    calls = [node for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    asked = [
        node.args[1].value for node in calls if getattr(node.func, "id", "") == "the_snippet" and isinstance(node.args[1], ast.Constant)
    ]
    assert {the_snippet("001", str(holds)) for holds in asked} == set(snippets("001"))
