"""Tools of a session config: real HTTP servers and real MCP servers, over standard input and output and over HTTP."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from control_zero.answers import ANSWER_BYTES_MAX, GetSecret
from control_zero.errors import ToolCallRejected, ToolError, ToolNotFound, ToolUnavailable
from control_zero.remote_tools import RemoteTools
from controlzero.errors import Rejected
from controlzero.session import HttpTool, McpCommandTool, McpUrlTool, Tool
from tests.http_servers import Answering, address, serving
from tests.mcp_processes import COMMAND, McpOverHttp, is_alive, kill_and_wait, mcp_over_http
from tests.ports import free_port

ANSWER_S_MAX = 60.0


def of(secrets: Mapping[str, str]) -> GetSecret:
    def get(name: str) -> str:
        if name not in secrets:
            raise Rejected(f"secret `{name}`: there is none of that name")
        return secrets[name]

    return get


class Calling:
    """A session's tools, called as a thread does."""

    def __init__(self, *tools: Tool, secrets: Mapping[str, str] | None = None, inherited: Mapping[str, str] | None = None) -> None:
        inherited = {"PATH": os.environ["PATH"]} if inherited is None else inherited
        self.tools = RemoteTools(of(secrets or {}), inherited, lambda text: text)
        self.tools.offer(tools)

    def __call__(self, tool: str, method: str, **arguments: Any) -> Any:
        return self.tools.call(tool, method, arguments).result(ANSWER_S_MAX)


class AnsweringTool(Answering):
    """A tool behind HTTP."""

    server: "HttpDouble"

    def do_POST(self) -> None:
        self.server.asked.append((self.path, json.loads(self.body()), dict(self.headers)))
        method = self.path.rpartition("/")[2]
        if method == "wait":
            self.server.released.wait(ANSWER_S_MAX)
        status, kind, answer = ANSWERS.get(method, (200, "application/json", json.dumps({"did": method}).encode()))
        elsewhere = {"Location": f"{self.server.url}/elsewhere"} if status == 307 else {}
        try:
            self.answer(status, answer, kind, **elsewhere)
        except ConnectionError:
            self.close_connection = True


ANSWERS = {
    "text": (200, "text/plain; charset=utf-8", "grüß dich".encode()),
    "nothing": (204, "application/json", b""),
    "broken": (200, "application/json", b"{"),
    "large": (200, "text/plain", b"x" * (ANSWER_BYTES_MAX + 1)),
    "refuse": (422, "application/problem+json", b'{"detail": "no such order"}'),
    "moved": (307, "text/plain", b""),
}


class HttpDouble(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AnsweringTool)
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.released = threading.Event()
        self.url = address(self)


@pytest.fixture
def http() -> Iterator[HttpDouble]:
    with serving(HttpDouble()) as server:
        yield server
        server.released.set()


@pytest.fixture(scope="module")
def mcp_http() -> Iterator[McpOverHttp]:
    with mcp_over_http() as server:
        yield server


@pytest.fixture
def calling() -> Iterator[Callable[..., Calling]]:
    made: list[Calling] = []

    def make(*tools: Tool, **given: Any) -> Calling:
        made.append(Calling(*tools, **given))
        return made[-1]

    yield make
    for each in made:
        each.tools.close()


def test_a_method_behind_http_is_posted_its_arguments_as_json(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    call = calling(HttpTool(name="orders", url=f"{http.url}/orders/", headers={"X-Team": "support"}))
    assert call("orders", "look up", order="A-1007", amount=2.5) == {"did": "look%20up"}
    ((path, body, headers),) = http.asked
    assert (path, body) == ("/orders/look%20up", {"order": "A-1007", "amount": 2.5})
    assert (headers["X-Team"], headers["Content-Type"]) == ("support", "application/json")


@pytest.mark.parametrize(("method", "answer"), [("text", "grüß dich"), ("nothing", None)])
def test_what_is_no_json_is_text(http: HttpDouble, calling: Callable[..., Calling], method: str, answer: object) -> None:
    assert calling(HttpTool(name="t", url=http.url))("t", method) == answer


def test_a_secret_is_put_where_a_header_asks_for_it(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    tool = HttpTool(name="t", url=http.url, headers={"Authorization": "Bearer ${secret:CRM_KEY}"})
    assert calling(tool, secrets={"CRM_KEY": "s3cret"})("t", "read")
    assert http.asked[0][2]["Authorization"] == "Bearer s3cret"


def test_a_secret_that_is_not_there_keeps_the_call_from_being_made(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    tool = HttpTool(name="t", url=http.url, headers={"Authorization": "Bearer ${secret:CRM_KEY}"})
    with pytest.raises(ToolCallRejected, match="tool `t`: its `Authorization` takes a secret: secret `CRM_KEY`: there is none"):
        calling(tool)("t", "read")
    assert http.asked == []


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("refuse", 'tool `t`: `refuse` was answered 422 .*: {"detail": "no such order"}'),
        ("moved", "tool `t`: `moved` was answered 307 Temporary Redirect"),
        ("broken", "tool `t`: `broken` answered what it calls JSON and is none"),
        ("large", "tool `t`: answered more than 16,777,216 bytes; ask it for less"),
    ],
)
def test_an_answer_that_is_none_says_why(http: HttpDouble, calling: Callable[..., Calling], method: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        calling(HttpTool(name="t", url=http.url))("t", method)
    assert len(http.asked) == 1


def test_a_tool_that_is_not_up_was_not_asked(calling: Callable[..., Calling]) -> None:
    tool = HttpTool(name="t", url=f"http://user:word@127.0.0.1:{free_port()}/t?k=v")
    with pytest.raises(ToolUnavailable, match=r"was not reached .* is it up, and is this its address") as raised:
        calling(tool)("t", "read")
    assert not raised.value.was_asked
    assert "word" not in str(raised.value)


def test_a_tool_that_takes_too_long_may_have_done_its_work(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    with pytest.raises(ToolUnavailable, match=r"gave no whole answer within 0.3 s; it may still do its work") as raised:
        calling(HttpTool(name="t", url=http.url, timeout_s=0.3))("t", "wait")
    assert raised.value.was_asked
    assert len(http.asked) == 1


@pytest.mark.parametrize("method", ["", ".", ".."])
def test_a_method_does_not_lead_out_of_the_tools_address(http: HttpDouble, calling: Callable[..., Calling], method: str) -> None:
    with pytest.raises(ToolNotFound):
        calling(HttpTool(name="t", url=f"{http.url}/tools"))("t", method)
    assert http.asked == []


def test_a_method_with_a_slash_stays_one_part_of_the_address(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    calling(HttpTool(name="t", url=f"{http.url}/tools"))("t", "../admin?x=1#y")
    assert http.asked[0][0] == "/tools/..%2Fadmin%3Fx%3D1%23y"


def test_arguments_that_are_no_json_keep_the_call_from_being_made(http: HttpDouble, calling: Callable[..., Calling]) -> None:
    call = calling(HttpTool(name="t", url=http.url), McpCommandTool(name="m", command=COMMAND))
    for tool in ("t", "m"):
        with pytest.raises(ToolCallRejected, match=f"tool `{tool}`: its arguments are no JSON"):
            call(tool, "read", handle=object())
    assert http.asked == []


def mcp(name: str, http: McpOverHttp, **given: Any) -> Tool:
    return McpUrlTool(name=name, url=http.url, **given) if name == "http" else McpCommandTool(name=name, command=COMMAND, **given)


@pytest.mark.parametrize("name", ["stdio", "http"])
def test_an_mcp_server_answers_with_what_its_tools_return(mcp_http: McpOverHttp, calling: Callable[..., Calling], name: str) -> None:
    call = calling(mcp(name, mcp_http))
    assert call(name, "read_file", path="/data/a") == "what /data/a holds"
    assert call(name, "count", words=["a", "b"]) == 2
    assert call(name, "describe", name="n") == {"name": "n", "size": 3}
    assert call(name, "result_of", value=3) == {"result": 3}
    assert call(name, "several") == ["one", "two"]


@pytest.mark.parametrize("name", ["stdio", "http"])
def test_what_an_mcp_tool_says_of_its_failure_is_told(mcp_http: McpOverHttp, calling: Callable[..., Calling], name: str) -> None:
    call = calling(mcp(name, mcp_http))
    with pytest.raises(ToolError, match=f"tool `{name}`: `fail` failed: .*out of paper"):
        call(name, "fail", why="out of paper")
    with pytest.raises(ToolError, match="Unknown tool: nosuch"):
        call(name, "nosuch")


@pytest.mark.parametrize("name", ["stdio", "http"])
def test_an_mcp_answer_that_is_too_large_is_not_held(mcp_http: McpOverHttp, calling: Callable[..., Calling], name: str) -> None:
    call = calling(mcp(name, mcp_http))
    with pytest.raises(ToolError, match="more than 16,777,216 bytes; ask it for less"):
        call(name, "large", megabytes=17)
    assert call(name, "read_file", path="a") == "what a holds"


@pytest.mark.parametrize("name", ["stdio", "http"])
def test_an_mcp_server_that_takes_too_long_may_have_done_its_work(
    mcp_http: McpOverHttp, calling: Callable[..., Calling], name: str
) -> None:
    call = calling(mcp(name, mcp_http, timeout_s=12))  # in which its process is to start, too
    assert call(name, "read_file", path="a") == "what a holds"
    with pytest.raises(ToolUnavailable, match="the MCP server gave no answer within 12 s") as raised:
        call(name, "wait", seconds=20)
    assert raised.value.was_asked


def test_a_process_starts_with_the_first_call_and_stays(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    assert call("m", "pid") == call("m", "pid") != os.getpid()


def test_a_process_that_dies_while_it_is_asked_is_told_of_with_its_last_words_and_started_again(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    before = call("m", "pid")
    with pytest.raises(ToolUnavailable, match="ended before it answered; it said: out of memory, says the test; the next call") as raised:
        call("m", "die")
    assert raised.value.was_asked
    assert call("m", "pid") not in (before, os.getpid())


def test_a_process_killed_between_calls_is_not_noticed(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    before = call("m", "pid")
    kill_and_wait(before)
    assert call("m", "pid") != before


def test_closing_ends_the_process(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    pid = call("m", "pid")
    assert is_alive(pid)
    call.tools.close()
    assert not is_alive(pid)


def test_a_process_that_does_not_listen_is_killed_with_what_it_started(tmp_path: Path, calling: Callable[..., Calling]) -> None:
    """Its input ends, then SIGTERM: it ignores both."""
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import os, signal, subprocess, sys, threading\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"sys.path.insert(0, {str(Path(COMMAND[1]).parent)!r})\n"
        "import mcp_tool_server\n"
        "mcp_tool_server.server.run('stdio')\n"
        "threading.Event().wait()\n"
    )
    call = calling(McpCommandTool(name="m", command=(sys.executable, str(deaf))))
    assert call("m", "read_file", path="a") == "what a holds"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    call.tools.close()
    assert [is_alive(pid) for pid in pids] == [False, False]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("/no/such/server",), "did not start .FileNotFoundError.*does `/no/such/server` start on this machine"),
        ((sys.executable, "-c", "raise SystemExit('no config')"), "did not start .*; it said: no config; does `"),
    ],
)
def test_a_server_that_does_not_start_says_why(calling: Callable[..., Calling], command: tuple[str, ...], told: str) -> None:
    with pytest.raises(ToolUnavailable, match=told) as raised:
        calling(McpCommandTool(name="m", command=command))("m", "read")
    assert not raised.value.was_asked


def test_without_the_mcp_package_a_call_says_what_to_install() -> None:
    agent = (
        "import sys\nsys.modules['mcp'] = None\n"
        "from control_zero.remote_tools import RemoteTools\n"
        "from controlzero.session import McpCommandTool\n"
        "tools = RemoteTools(str, {}, str)\n"
        "tools.offer([McpCommandTool(name='m', command=('x',))])\n"
        "print(repr(tools.call('m', 'read', {}).exception(60)))\n"
    )
    done = subprocess.run([sys.executable, "-c", agent], capture_output=True, text=True, check=True, timeout=120)
    assert "ToolCallRejected" in done.stdout
    assert "install controlzero-audit[mcp]" in done.stdout


def test_a_server_that_never_speaks_does_not_start_in_time(calling: Callable[..., Calling]) -> None:
    silent = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with pytest.raises(ToolUnavailable, match=r"did not start within 0.5 s") as raised:
        calling(McpCommandTool(name="m", command=silent, timeout_s=0.5))("m", "read")
    assert not raised.value.was_asked


def test_a_process_sees_what_is_meant_for_it_and_no_more(calling: Callable[..., Calling]) -> None:
    tool = McpCommandTool(name="m", command=COMMAND, env={"TOKEN": "t-${secret:CRM_KEY}"})
    call = calling(tool, secrets={"CRM_KEY": "s3cret"}, inherited={"HOME": "/nowhere"})
    assert call("m", "environment", name="TOKEN") == "t-s3cret"
    assert call("m", "environment", name="HOME") == "/nowhere"
    assert call("m", "environment", name="PATH") == ""


def test_a_server_over_http_that_began_anew_is_asked_in_a_new_session(calling: Callable[..., Calling]) -> None:
    with mcp_over_http() as server:
        call = calling(McpUrlTool(name="m", url=server.url))
        before = call("m", "pid")
        server.restart()
        assert call("m", "pid") != before


def test_a_server_over_http_that_is_away_was_not_asked(calling: Callable[..., Calling]) -> None:
    with pytest.raises(ToolUnavailable, match=r"did not start .ConnectError.*is it up, and is this its address") as raised:
        calling(McpUrlTool(name="m", url=f"http://127.0.0.1:{free_port()}/mcp"))("m", "read")
    assert not raised.value.was_asked


def test_closing_lets_nobody_wait_for_ever(calling: Callable[..., Calling], http: HttpDouble) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND), HttpTool(name="t", url=http.url))
    assert call("m", "read_file", path="a")
    is_waiting = threading.Event()

    async def endless() -> None:
        is_waiting.set()
        await asyncio.Event().wait()

    waiting = [call.tools.call("m", "wait", {"seconds": 1}), call.tools.call("t", "wait", {}), call.tools.run(endless())]
    assert is_waiting.wait(ANSWER_S_MAX)
    call.tools.close()
    for future in waiting:
        with pytest.raises((ToolUnavailable, CancelledError)):
            future.result(ANSWER_S_MAX)
    with pytest.raises(RuntimeError, match="the client is closed"):
        call("m", "pid")


@pytest.mark.filterwarnings("ignore:This process")  # 3.12 warns of forking beside threads, which is the point
def test_a_forked_child_has_a_process_of_its_own_and_leaves_its_parents_alone(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    before = call("m", "pid")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(call("m", "pid")).encode())
            call.tools.close()
        finally:
            os._exit(0)
    os.close(writing)
    childs = int(os.read(reading, 100))
    os.close(reading)
    os.waitpid(child, 0)
    assert childs != before
    assert not is_alive(childs)
    assert call("m", "pid") == before


def test_an_agent_that_ends_without_closing_leaves_no_process(tmp_path: Path) -> None:
    """The server ignores the end of its input; whoever started it has to end it."""
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        f"import sys, threading\nsys.path.insert(0, {str(Path(COMMAND[1]).parent)!r})\n"
        "import mcp_tool_server\nmcp_tool_server.server.run('stdio')\nthreading.Event().wait()\n"
    )
    agent = (
        "import os, sys\n"
        "from control_zero.remote_tools import RemoteTools\n"
        "from controlzero.session import McpCommandTool\n"
        "tools = RemoteTools(str, dict(os.environ), str)\n"
        f"tools.offer([McpCommandTool(name='m', command=(sys.executable, {str(deaf)!r}))])\n"
        "print(tools.call('m', 'pid', {}).result(60))\n"
    )
    done = subprocess.run([sys.executable, "-c", agent], capture_output=True, text=True, check=True, timeout=120)
    assert not is_alive(int(done.stdout))


def test_many_threads_share_one_process(calling: Callable[..., Calling]) -> None:
    call = calling(McpCommandTool(name="m", command=COMMAND))
    futures = [call.tools.call("m", "pid", {}) for _ in range(20)]
    assert len({future.result(ANSWER_S_MAX) for future in futures}) == 1
