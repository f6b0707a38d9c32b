"""cz mcp-proxy between a real MCP client and real servers: every call judged and recorded, the rest untouched."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client

from controlzero.records import AGENT_RECORDS, Decision, Outcome
from tests.ports import free_port
from tests.unit.sdk.test_wrap_mcp import a_server, url

__all__ = ["url"]  # the fixture

ROOT = Path(__file__).parents[3]
POLICY = {
    "name": "tools",
    "rules": [
        {"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://files/write_file", "reason": "This agent may not write."},
        {"effect": "allow", "action": "mcp.tool:call", "resource": "mcp://files/*"},
    ],
}
COMMAND = ["--", sys.executable, "-m", "tests.mcp_servers", "stdio"]
Proxy = Callable[..., StdioServerParameters]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    return {"CONTROLZERO_POLICY_FILE": str(tmp_path / "policy.json"), "CONTROLZERO_SPOOL": str(tmp_path / "spool"), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def proxy(environment: dict[str, str]) -> Proxy:
    def proxied(*arguments: str) -> StdioServerParameters:
        command = ["-m", "cz", "mcp-proxy", "--server", "files", "--agent", "bot", *arguments]
        return StdioServerParameters(command=sys.executable, args=command, cwd=ROOT, env=environment)

    return proxied


def recorded(tmp_path: Path) -> tuple[list[Decision], list[Outcome]]:
    """Read the spool, where records without a server stay."""
    found = []
    for segment in sorted((tmp_path / "spool").rglob("*")):
        for piece in segment.read_bytes().split(b'{"kind":')[1:] if segment.is_file() else ():
            with contextlib.suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(b'{"kind":' + piece[: piece.rindex(b"}") + 1], type=AGENT_RECORDS))
    return [one for one in found if isinstance(one, Decision)], [one for one in found if isinstance(one, Outcome)]


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
@pytest.mark.parametrize("behind", ["a command", "an address"])
def test_calls_are_judged_and_recorded_and_a_denied_one_is_an_error_of_the_tool(
    behind: str, protocol: str, proxy: Proxy, url: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    arguments = COMMAND if behind == "a command" else ["--url", url]

    async def act() -> None:
        async with Client(stdio_client(proxy(*arguments)), mode=protocol) as client:  # type: ignore[arg-type]  # one of its modes
            assert [tool.name for tool in (await client.list_tools()).tools] == ["read_file", "write_file", "fail", "die"]
            assert (await client.call_tool("read_file", {"path": "ä"})).structured_content == {"result": "the text of ä"}
            denied = await client.call_tool("write_file", {"path": str(target), "content": "x"})
            assert denied.is_error
            assert denied.content[0].text == "files/write_file is denied: This agent may not write."  # type: ignore[union-attr]  # text
            assert (await client.call_tool("fail", {})).is_error

    asyncio.run(act())
    assert not target.exists()
    decisions, outcomes = recorded(tmp_path)
    assert [(one.resource, one.effect, one.agent_id) for one in decisions] == [
        ("mcp://files/read_file", "allow", "bot"),
        ("mcp://files/write_file", "deny", "bot"),
        ("mcp://files/fail", "allow", "bot"),
    ]
    assert [(one.status, one.error_class) for one in outcomes] == [("ok", None), ("denied", None), ("error", "ToolError")]


def test_it_can_hide_what_is_denied(proxy: Proxy) -> None:
    async def act() -> list[str]:
        async with Client(stdio_client(proxy("--hide-denied", *COMMAND))) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert asyncio.run(act()) == ["read_file", "fail", "die"]


def test_a_server_that_dies_leaves_answers_and_an_outcome(proxy: Proxy, tmp_path: Path) -> None:
    async def act() -> None:
        async with Client(stdio_client(proxy(*COMMAND))) as client:
            for tool in ("die", "read_file"):
                with pytest.raises(MCPError, match="has ended"):
                    await client.call_tool(tool, {"path": "a"} if tool == "read_file" else {})

    asyncio.run(act())
    decisions, outcomes = recorded(tmp_path)
    assert [one.resource for one in decisions] == ["mcp://files/die"]
    assert [(one.status, one.error_class) for one in outcomes] == [("error", "ServerEndedError")]


def started(environment: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cz", "mcp-proxy", "--server", "files", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("ending", ["SIGTERM", "end of input"])
def test_it_ends_cleanly_and_its_server_with_it(ending: str, environment: dict[str, str]) -> None:
    with started(environment, "--", "cat") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,  "method":"ping"}\n')
        process.stdin.flush()
        assert process.stdout.readline() == b'{"jsonrpc":"2.0","id":1,  "method":"ping"}\n', (
            "cat answers with what it was told, byte by byte"
        )
        servers = children(process.pid)
        assert len(servers) == 1
        process.send_signal(signal.SIGTERM) if ending == "SIGTERM" else process.stdin.close()
        assert process.wait(20) == 0
        assert not Path(f"/proc/{servers[0]}").exists()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_server_that_cannot_be_started_and_one_that_is_not_there_are_said_so(environment: dict[str, str]) -> None:
    with started(environment, "--", "/no/such/server") as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"cannot be started" in said
    port = free_port()
    with started(environment, "--url", f"http://127.0.0.1:{port}/mcp") as process:
        answer, _ = process.communicate(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n', timeout=20)
    assert json.loads(answer)["error"]


@pytest.mark.parametrize(
    "wrong", [(), ("--url", "http://127.0.0.1:1/mcp", "--", "cat"), ("--url", "http://127.0.0.1:1/mcp", "--header", "x")]
)
def test_what_cannot_work_is_said_in_one_line(wrong: tuple[str, ...], environment: dict[str, str]) -> None:
    with started(environment, *wrong) as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.count(b"\n") == 1
    assert b"cz mcp-proxy: " in said


def test_an_address_that_answers_again_is_asked_again(environment: dict[str, str]) -> None:
    port = free_port()
    begin = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    with started(environment, "--url", f"http://127.0.0.1:{port}/mcp") as process:

        def answered(place: int) -> dict[str, object]:
            assert process.stdin is not None
            assert process.stdout is not None
            message = {"jsonrpc": "2.0", "id": place, "method": "initialize", "params": begin}
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            answer: dict[str, object] = json.loads(process.stdout.readline())
            assert answer["id"] == place
            return answer

        assert "broke" in str(answered(1)["error"])
        with a_server(port):
            assert "result" in answered(2)
        assert "broke" in str(answered(3)["error"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_large_message_passes_whole(environment: dict[str, str]) -> None:
    line = json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"text": "y" * 3_000_000}}).encode() + b"\n"
    with started(environment, "--", "cat") as process:
        answer, _ = process.communicate(line, timeout=30)
    assert answer == line
