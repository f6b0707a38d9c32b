"""The relay of cz mcp-proxy: what is no tool call passes byte by byte, and no call passes in disguise."""

import json
from typing import Any

import pytest

from controlzero import Client
from controlzero.integrations.governor import Governor
from controlzero.integrations.mcp import call_asked
from controlzero.integrations.mcp_relay import Passed, Relay, lines
from controlzero.testing import InMemoryGateway

POLICY = {
    "name": "p",
    "rules": [
        {"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://s/write", "reason": "no"},
        {"effect": "allow", "action": "mcp.tool:call", "resource": "mcp://s/*"},
    ],
}


@pytest.fixture
def relay(cz: Client) -> Relay:
    return Relay(Governor(cz, None, wrapper="test"), server="s")


def call(name: str, place: Any = 1, **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": place, "method": "tools/call", "params": {"name": name, **more}}).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0", "id" : 1e0,"method":"initialize","params":{"x":1.0,"y":[1e400]}}\n',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}\r\n',
        '{"jsonrpc":"2.0","id":"ä","result":{"roots":[]}}\n'.encode(),
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"Path":"a","path":"b"},"name":"read"}}\n',
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}, {"jsonrpc":"2.0","id":2,"method":"ping"}]\n',
    ],
)
def test_what_may_pass_passes_byte_by_byte(line: bytes, relay: Relay) -> None:
    assert relay.from_client(line) == Passed(on=line)
    assert relay.from_server(line) == line


def test_a_denied_call_is_answered_as_a_tool_answers_that_failed(relay: Relay) -> None:
    passed = relay.from_client(call("write", "seven"))
    assert passed.on == b""
    assert json.loads(passed.back) == {
        "jsonrpc": "2.0",
        "id": "seven",
        "result": {"content": [{"type": "text", "text": "s/write is denied: no"}], "isError": True},
    }
    stamped = relay.from_client(call("write", _meta={"io.modelcontextprotocol/protocolVersion": "2026-07-28"}))
    assert json.loads(stamped.back)["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"write"}}\n',
        b'{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"write"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"write"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","Name":"write"}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","name":"write"}}\n',
        b'{"x":\r{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}\r}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["write"]}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":["x"]}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}\n',
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}\n'.encode("utf-16"),
        b'[[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}]]\n',
        b"\xff\n",
        b"7\n",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{"a":'
        + b"[" * 9_999
        + b"]" * 9_999
        + b"}}}\n",
    ],
)
def test_what_two_readers_may_read_differently_does_not_pass(line: bytes, relay: Relay, cz: Client, gateway: InMemoryGateway) -> None:
    passed = relay.from_client(line)
    assert passed.on == b""
    assert json.loads(passed.back)["error"]["code"] in (-32700, -32600)
    assert cz.flush()
    assert gateway.decisions() == []


def test_of_a_batch_only_what_is_denied_stays_behind(relay: Relay) -> None:
    both = b"[" + call("read", 1).strip() + b"," + call("write", 2).strip() + b"]\n"
    passed = relay.from_client(both)
    assert [each["id"] for each in json.loads(passed.on)] == [1]
    assert json.loads(passed.back)["id"] == 2


def test_outcomes_follow_the_answers_by_their_ids(relay: Relay, cz: Client, gateway: InMemoryGateway) -> None:
    for place in (1, "1", 2, 3, 4):
        relay.from_client(call("read", place))
    relay.from_server(b'{"jsonrpc":"2.0","id":"1","result":{"content":[]}}\n')
    relay.from_server(b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}\n')
    relay.from_server(b'{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"x"}}\n')
    relay.from_client(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}\n')
    assert [json.loads(each)["id"] for each in relay.end("it ended").splitlines()] == [4]
    assert json.loads(relay.from_client(call("read", 5)).back)["error"]["message"] == "it ended"
    assert cz.flush()
    assert len(gateway.decisions()) == 5
    assert sorted((one.status, one.error_class) for one in gateway.outcomes() if one.error_class) == [
        ("cancelled", "GeneratorExit"),
        ("error", "ServerEndedError"),
        ("error", "ToolError"),
        ("error", "ToolError"),
    ]


def test_a_list_of_tools_can_leave_out_what_is_denied(cz: Client, gateway: InMemoryGateway) -> None:
    governor = Governor(cz, None, wrapper="test")
    relay = Relay(governor, server="s", is_shown=lambda tool: governor.foresees(call_asked("s", tool, None)))
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"},{"name":"write"}]}}\n'
    assert relay.from_server(listed) == listed, "nobody asked for a list"
    relay.from_client(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n')
    assert [tool["name"] for tool in json.loads(relay.from_server(listed))["result"]["tools"]] == ["read"]
    assert cz.flush()
    assert gateway.decisions() == []


def test_messages_come_whole_however_they_arrive() -> None:
    chunks = iter([b"ab", b"c\nde", b"f\n\n", b"end", b""])
    assert list(lines(lambda: next(chunks))) == [b"abc\n", b"def\n", b"\n", b"end"]


def test_a_message_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        list(lines(lambda: b"x" * 2**20))


def test_what_a_server_nests_too_deeply_to_read_is_the_clients_to_refuse(relay: Relay) -> None:
    answer = b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 9_999 + b"]" * 9_999 + b"}\n"
    assert relay.from_server(answer) == answer
    assert relay.from_client(call("read")).on
