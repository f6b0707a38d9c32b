"""wrap_mcp against real servers, over standard input and output and over streamable HTTP."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from mcp import Client as McpClient
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from controlzero import Client, PolicyDeniedError, Rejected
from controlzero.integrations.mcp import unwrap, wrap_mcp
from controlzero.testing import InMemoryGateway
from tests.ports import free_port, until_listening

ROOT = Path(__file__).parents[3]
POLICY = {
    "name": "tools",
    "rules": [
        {"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://files/write_file", "reason": "This agent may not write."},
        {"effect": "allow", "action": "mcp.tool:call", "resource": "mcp://files/*"},
    ],
}
STDIO = StdioServerParameters(command=sys.executable, args=["-m", "tests.mcp_servers", "stdio"], cwd=ROOT)


@contextlib.contextmanager
def a_server(port: int) -> Iterator[None]:
    """Run a server over streamable HTTP, from when it answers."""
    with subprocess.Popen([sys.executable, "-m", "tests.mcp_servers", "http", str(port)], cwd=ROOT, stderr=subprocess.DEVNULL) as server:
        until_listening(port, server)
        yield
        server.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    with a_server(port):
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture
def cz(gateway: InMemoryGateway, tmp_path: Path) -> Iterator[Client]:
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path / "spool", agent_id="bot") as client:
        yield client


@contextlib.asynccontextmanager
async def a_session(url: str, how: str) -> AsyncIterator[ClientSession]:
    transport = stdio_client(STDIO) if how == "stdio" else streamable_http_client(url)
    async with transport as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        yield session


@pytest.mark.parametrize("how", ["stdio", "http"])
def test_each_call_is_a_decision_and_an_outcome_and_a_denied_one_never_leaves(
    how: str, url: str, cz: Client, gateway: InMemoryGateway, tmp_path: Path
) -> None:
    target = tmp_path / "target"

    async def act() -> None:
        async with a_session(url, how) as plain:
            session = wrap_mcp(plain, cz, server="files")
            assert isinstance(session, ClientSession)
            assert len((await session.list_tools()).tools) == 4
            assert (await session.call_tool("read_file", {"path": "a"})).structured_content == {"result": "the text of a"}
            with pytest.raises(PolicyDeniedError, match="may not write"):
                await session.call_tool("write_file", {"path": str(target), "content": "x"})
            assert not target.exists()
            assert (await session.call_tool("fail", {})).is_error

    asyncio.run(act())
    assert cz.flush()
    assert [(one.action, one.resource, one.effect) for one in gateway.decisions()] == [
        ("mcp:tool:call", "mcp://files/read_file", "allow"),
        ("mcp:tool:call", "mcp://files/write_file", "deny"),
        ("mcp:tool:call", "mcp://files/fail", "allow"),
    ]
    assert [(one.status, one.error_class, one.latency_ms is not None) for one in gateway.outcomes()] == [
        ("ok", None, True),
        ("denied", None, False),
        ("error", "ToolError", True),
    ]


def test_the_high_level_client_is_governed_before_and_after_it_connects(cz: Client, gateway: InMemoryGateway) -> None:
    async def act() -> None:
        plain = McpClient(stdio_client(STDIO))
        client = wrap_mcp(plain, cz, server="files")
        assert isinstance(client, McpClient)
        async with client:
            assert not (await client.call_tool("read_file", {"path": "a"})).is_error
            with pytest.raises(PolicyDeniedError):
                await client.call_tool("write_file", {"path": "a", "content": "x"})
            with pytest.raises(PolicyDeniedError):
                await client.session.call_tool("write_file", {"path": "a", "content": "x"})
            assert unwrap(client) is plain

    asyncio.run(act())
    assert cz.flush()
    assert [one.effect for one in gateway.decisions()] == ["allow", "deny", "deny"]


def test_wrapping_twice_asks_once_and_unwrap_gives_the_session_back(cz: Client, gateway: InMemoryGateway) -> None:
    async def act() -> None:
        async with a_session("", "stdio") as plain:
            session = wrap_mcp(wrap_mcp(plain, cz, server="other"), cz, server="files", agent_id="two")
            await session.call_tool("read_file", {"path": "a"})
            assert unwrap(session) is plain
            assert unwrap(plain) is plain
            await plain.call_tool("read_file", {"path": "a"})

    asyncio.run(act())
    assert cz.flush()
    assert [(one.resource, one.agent_id) for one in gateway.decisions()] == [("mcp://files/read_file", "two")]


def test_a_server_that_ends_in_the_middle_of_a_call_leaves_an_error(cz: Client, gateway: InMemoryGateway) -> None:
    async def act() -> None:
        async with a_session("", "stdio") as plain:
            with pytest.raises(Exception, match="closed"):
                await wrap_mcp(plain, cz, server="files").call_tool("die", {})

    asyncio.run(act())
    assert cz.flush()
    (outcome,) = gateway.outcomes()
    assert (outcome.status, outcome.carried_out) == ("error", True)


def test_what_is_no_mcp_client_is_refused(cz: Client) -> None:
    with pytest.raises(Rejected, match="object is no MCP client"):
        wrap_mcp(object(), cz, server="files")
