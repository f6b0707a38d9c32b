"""The clients of the hosted SDK's names: options, calls judged before and recorded after, tools of one's own."""

import asyncio
import inspect
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import control_zero
from control_zero import AsyncControlZeroClient, ControlZeroClient, PolicyDecision, PolicyDeniedError, ToolNotFound
from control_zero.settings import HOSTED_URL, read_options
from controlzero.errors import ControlZeroError, Rejected, Unavailable
from controlzero.integrations.openai import wrap_openai
from controlzero.policy.facts import request_of
from controlzero.records import Mode, Outcome
from controlzero.session import HttpTool, McpCommandTool, McpUrlTool
from controlzero.testing import InMemoryGateway
from tests.mcp_processes import COMMAND, is_alive
from tests.ports import free_port

KEY = "cz_test_key"
POLICY = {
    "name": "analysts",
    "rules": [
        {"effect": "deny", "action": "database:drop", "reason": "nobody drops tables"},
        {"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://shell/*", "reason": "no shells"},
        {"effect": "allow", "action": "report:*", "conditions": {"user_group": "analysts"}},
        {"effect": "deny", "action": "llm:generate", "conditions": {"args.has_pii": True}, "reason": "no personal data"},
        {"effect": "deny", "action": "llm:generate", "conditions": {"args.functions": "issue_refund"}},
        {"effect": "allow", "action": "llm:generate", "resource": "model/gpt-5.4"},
        {"effect": "allow", "action": "report:*", "conditions": {"agent_id": "reporter"}},
        {"effect": "deny", "action": "report:*"},
        {"effect": "allow", "action": "database:*"},
        {"effect": "allow", "action": "files:*"},
        {"effect": "allow", "action": "crm:*"},
        {"effect": "allow", "action": "shell:*"},
        {"effect": "allow", "action": "nosuch:*"},
    ],
}


class Database:
    """A tool that remembers what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def query(self, sql: str) -> list[str]:
        self.done.append(sql)
        return [sql]

    def drop(self, table: str) -> None:
        self.done.append(f"drop {table}")

    def fail(self) -> None:
        raise KeyError("no such table")

    async def later(self, sql: str) -> str:
        await asyncio.sleep(0)
        return f"later {sql}"

    def _secret(self) -> None:
        raise AssertionError("never called")


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy=POLICY, mode="enforce")


@pytest.fixture(autouse=True)
def _spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def client(gateway: InMemoryGateway, database: Database) -> Iterator[ControlZeroClient]:
    with ControlZeroClient(KEY, transport=gateway) as made:
        made.register_tool("database", database)
        yield made


def outcomes(gateway: InMemoryGateway, client: ControlZeroClient) -> list[tuple[str, bool, str | None]]:
    client.flush()
    return [(outcome.status, outcome.carried_out, outcome.error_class) for outcome in gateway.outcomes()]


OPTIONS: dict[str, Any] = {
    "api_key": KEY,
    "agent_name": None,
    "base_url": HOSTED_URL,
    "enable_governance": True,
    "policy_mode": "cloud",
    "policy_path": None,
    "refresh_interval_seconds": 300,
    "max_cache_age_seconds": 86_400,
}


@pytest.mark.parametrize("key", ["", "sk-123", "CZ_LIVE_x", " cz_live_x", None])
def test_another_key_is_refused_at_once(key: Any) -> None:
    for kind in (ControlZeroClient, AsyncControlZeroClient):
        with pytest.raises(ValueError, match="starts with cz_live_ or cz_test_"):
            kind(api_key=key)


def test_every_problem_of_the_options_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"api_key.*policy_mode `cluod`.*refresh_interval_seconds `0`.*max_cache_age_seconds `-1`"):
        ControlZeroClient("k", policy_mode="cluod", refresh_interval_seconds=0, max_cache_age_seconds=-1)
    for mode in ("local", "hybrid"):
        with pytest.raises(ValueError, match=r"policy_path: expected the path of a .czpolicy file"):
            ControlZeroClient(KEY, policy_mode=mode)
    with pytest.raises(ValueError, match="expected http:// or https://"):
        ControlZeroClient(KEY, base_url="localhost:8700")


def test_the_documented_signature_is_kept() -> None:
    documented = {
        "api_key": inspect.Parameter.empty,
        "agent_name": None,
        "base_url": "https://api.controlzero.ai",
        "enable_governance": True,
        "policy_mode": "cloud",
        "policy_path": None,
        "rust_engine": True,
        "refresh_interval_seconds": 300,
        "max_cache_age_seconds": 86400,
    }
    for kind in (ControlZeroClient, AsyncControlZeroClient):
        parameters = inspect.signature(kind).parameters
        assert {name: parameters[name].default for name in documented} == documented


@pytest.mark.parametrize(
    ("given", "environ", "address"),
    [
        (HOSTED_URL, {}, "http://127.0.0.1:8700"),
        (HOSTED_URL + "/", {}, "http://127.0.0.1:8700"),
        (None, {}, "http://127.0.0.1:8700"),
        (HOSTED_URL, {"CONTROLZERO_BASE_URL": "http://gateway:1"}, "http://gateway:1"),
        ("http://other:2/", {"CONTROLZERO_BASE_URL": "http://gateway:1"}, "http://other:2"),
    ],
)
def test_the_documented_address_means_this_products_own(given: str | None, environ: dict[str, str], address: str) -> None:
    assert read_options(environ, **(OPTIONS | {"base_url": given})).settings.base_url == address


@pytest.mark.parametrize(
    ("given", "environ", "name"),
    [(None, {}, "default-agent"), (None, {"CZ_AGENT_NAME": "analyst"}, "analyst"), ("own", {"CZ_AGENT_NAME": "analyst"}, "own")],
)
def test_the_agents_name_is_given_or_in_the_environment(given: str | None, environ: dict[str, str], name: str) -> None:
    assert read_options(environ, **(OPTIONS | {"agent_name": given})).settings.agent_id == name


def test_nothing_is_called_before_initialize(gateway: InMemoryGateway) -> None:
    client = ControlZeroClient(KEY, transport=gateway)
    for call in (
        lambda: client.call_tool("database", "query"),
        lambda: client.check_llm_request("gpt-5.4", "openai", 10),
        lambda: client.process_pii("a@b.co"),
        client.flush,
    ):
        with pytest.raises(RuntimeError, match=r"call initialize\(\) first"):
            call()
    client.close()
    assert gateway.requests == []


def test_initialize_fetches_bundle_session_and_secrets(gateway: InMemoryGateway) -> None:
    client = ControlZeroClient(KEY, transport=gateway)
    client.initialize()
    client.initialize()
    assert {"GET /v1/bundle", "GET /v1/session"} <= set(gateway.requests)
    client.close()


def test_a_server_that_refuses_the_key_keeps_it_from_initializing(gateway: InMemoryGateway) -> None:
    gateway.answers.extend([401] * 10)
    with pytest.raises(Rejected, match="the API key was refused"):
        ControlZeroClient(KEY, transport=gateway).initialize()


def test_a_server_that_is_away_keeps_it_from_initializing() -> None:
    with pytest.raises(Unavailable, match="is it up"):
        ControlZeroClient(KEY, base_url=f"http://127.0.0.1:{free_port()}").initialize()


def test_what_is_allowed_is_carried_out_and_recorded(gateway: InMemoryGateway, client: ControlZeroClient, database: Database) -> None:
    context = {"user_id": "agent-001", "user_group": "analysts", "tags": {"team": "a"}}
    assert client.call_tool("database", "query", {"sql": "SELECT 1"}, context=context) == ["SELECT 1"]
    assert database.done == ["SELECT 1"]
    assert outcomes(gateway, client) == [("ok", True, None)]
    (decision,) = gateway.decisions()
    assert (decision.action, decision.verdict, decision.agent_id, decision.user_id) == (
        "database:query",
        "allow",
        "default-agent",
        "agent-001",
    )
    (outcome,) = gateway.outcomes()
    assert (outcome.latency_ms or 0) > 0


def test_what_is_denied_is_not_invoked(gateway: InMemoryGateway, client: ControlZeroClient, database: Database) -> None:
    with pytest.raises(PolicyDeniedError) as raised:
        client.call_tool("database", "drop", {"table": "orders"})
    denied: Any = raised.value.decision
    assert isinstance(denied, PolicyDecision)
    assert (denied.effect, denied.reason, denied.policy_id, denied.evaluated_rules) == ("deny", "nobody drops tables", "analysts", 1)
    assert denied.evaluation_time_ns > 0
    assert database.done == []
    assert outcomes(gateway, client) == [("denied", False, None)]


def test_what_a_tool_raises_is_raised_and_its_class_recorded(gateway: InMemoryGateway, client: ControlZeroClient) -> None:
    with pytest.raises(KeyError):
        client.call_tool("database", "fail")
    assert outcomes(gateway, client) == [("error", True, "KeyError")]


def test_a_tool_that_is_not_there_is_a_value_error_and_recorded_as_not_carried_out(
    gateway: InMemoryGateway, client: ControlZeroClient
) -> None:
    with pytest.raises(ValueError, match="tool `nosuch`: it is not in the session config, nor registered; there is database"):
        client.call_tool("nosuch", "run")
    with pytest.raises(ToolNotFound, match=r"tool `database`: no method `qery`, expected one of .*; did you mean `query`"):
        client.call_tool("database", "qery")
    assert outcomes(gateway, client) == [("error", False, "ToolNotFound")] * 2


def test_a_denial_goes_before_a_tool_that_is_not_there(client: ControlZeroClient) -> None:
    with pytest.raises(PolicyDeniedError, match="no shells"):
        client.call_tool("shell", "run", {"command": "ls"})


@pytest.mark.parametrize("name", ["_secret", "__init__", "done"])
def test_only_public_methods_of_an_object_are_called(client: ControlZeroClient, name: str) -> None:
    with pytest.raises(ToolNotFound):
        client.call_tool("database", name)


def test_a_condition_on_the_context_decides(client: ControlZeroClient) -> None:
    client.register_tool("report", {"write": lambda: "written"})
    assert client.call_tool("report", "write", context={"user_group": "analysts"}) == "written"
    with pytest.raises(PolicyDeniedError):
        client.call_tool("report", "write", context={"user_group": "interns"})


def test_a_condition_on_the_agents_name_decides(gateway: InMemoryGateway) -> None:
    with ControlZeroClient(KEY, "reporter", transport=gateway) as client:
        client.register_tool("report", {"write": lambda: "written"})
        assert client.call_tool("report", "write") == "written"


def test_under_log_only_what_would_be_denied_goes_ahead(gateway: InMemoryGateway, database: Database) -> None:
    gateway.put_policy(POLICY, mode="log-only")
    with ControlZeroClient(KEY, transport=gateway) as client:
        client.register_tool("database", database)
        client.call_tool("database", "drop", {"table": "orders"})
        assert outcomes(gateway, client) == [("ok", True, None)]
    assert database.done == ["drop orders"]
    assert [(decision.verdict, decision.mode) for decision in gateway.decisions()] == [("deny", "log-only")]


@pytest.mark.parametrize("mode", ["enforce", "log-only"])
def test_without_governance_every_call_goes_ahead_and_is_recorded_as_off(gateway: InMemoryGateway, database: Database, mode: Mode) -> None:
    gateway.put_policy(POLICY, mode=mode)
    with ControlZeroClient(KEY, enable_governance=False, transport=gateway) as client:
        client.register_tool("database", database)
        client.call_tool("database", "drop", {"table": "orders"})
        client.flush()
    (decision,) = gateway.decisions()
    assert (decision.mode, decision.verdict, decision.effect) == ("off", None, "allow")
    assert decision.reason == "governance is off; nothing was evaluated"  # by this client, whatever its project says
    assert database.done == ["drop orders"]


def test_tools_are_functions_mappings_objects_and_decorated_functions(client: ControlZeroClient) -> None:
    client.register_tool("files", lambda method, path: f"{method} {path}")
    assert client.call_tool("files", "read", {"path": "/a"}) == "read /a"

    @client.tool("crm")
    def find(name: str) -> str:
        return f"found {name}"

    @client.tool("crm", "erase")
    async def remove(name: str) -> str:
        return f"removed {name}"

    @client.tool("database")
    def size() -> int:
        return 3

    with pytest.raises(ValueError, match=r"it is the function .* which takes every method"):
        client.tool("files", "size")(size)
    assert (client.call_tool("database", "size"), client.call_tool("database", "query", {"sql": "SELECT 1"})) == (3, ["SELECT 1"])
    assert find("Ada") == "found Ada"
    assert client.call_tool("crm", "find", {"name": "Ada"}) == "found Ada"
    assert client.call_tool("crm", "erase", {"name": "Ada"}) == "removed Ada"


@pytest.mark.parametrize("target", [Database, threading, 7, {}, object()])
def test_what_cannot_be_called_is_no_tool(client: ControlZeroClient, target: object) -> None:
    with pytest.raises(ValueError, match=r"tool `files`: nothing of .* can be called; expected a function, a mapping"):
        client.register_tool("files", target)


def test_a_registered_tool_goes_before_one_of_the_session_config(gateway: InMemoryGateway, database: Database) -> None:
    gateway.put_session(tools=[HttpTool(name="database", url=f"http://127.0.0.1:{free_port()}")])
    with ControlZeroClient(KEY, transport=gateway) as client:
        client.register_tool("database", database)
        assert client.call_tool("database", "query", {"sql": "SELECT 1"}) == ["SELECT 1"]


def test_a_tool_of_the_session_config_is_called_with_its_secret_which_is_never_told(gateway: InMemoryGateway) -> None:
    secret = "tell-nobody-of-this"
    gateway.put_session(tools=[McpCommandTool(name="files", command=COMMAND, env={"TOKEN": "${secret:FILES}"})], secrets={"FILES": secret})
    client = ControlZeroClient(KEY, transport=gateway)
    with client:
        assert client.call_tool("files", "environment", {"name": "TOKEN"}) == secret
        pid = client.call_tool("files", "pid")
        with pytest.raises(control_zero.ToolError) as raised:
            client.call_tool("files", "fail", {"why": f"I was given {secret}"})
        assert secret not in str(raised.value)
        assert "I was given [" in str(raised.value)
        assert raised.value.__cause__ is None
        shown = repr(client.__dict__) + repr(client.ready())
    assert secret not in shown
    assert not is_alive(pid)
    assert [secret.encode() in line for producer in gateway.producers() for line in gateway.lines(producer).values()] == [False] * 6
    with pytest.raises(RuntimeError):
        client.call_tool("files", "pid")


@pytest.mark.parametrize("kind", [HttpTool, McpUrlTool])
def test_a_secret_that_cannot_be_sent_is_in_no_traceback(gateway: InMemoryGateway, kind: Any) -> None:
    secret = "tell-nobody\nof-this"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        tool = kind(name="crm", url=url, headers={"Authorization": "Bearer ${secret:CRM}"}, timeout_s=20)
        gateway.put_session(tools=[tool], secrets={"CRM": secret})
        with ControlZeroClient(KEY, transport=gateway) as client, pytest.raises(ControlZeroError) as raised:
            client.call_tool("crm", "find")
    told = "".join(traceback.format_exception(raised.value))
    assert "tool `crm`" in told
    assert "tell-nobody" not in told


def test_a_tool_that_was_not_reached_was_not_carried_out(gateway: InMemoryGateway) -> None:
    gateway.put_session(tools=[HttpTool(name="crm", url=f"http://127.0.0.1:{free_port()}")])
    with ControlZeroClient(KEY, transport=gateway) as client:
        with pytest.raises(control_zero.ToolUnavailable):
            client.call_tool("crm", "find")
        assert outcomes(gateway, client) == [("error", False, "ToolUnavailable")]


def test_there_is_no_rust_engine(client: ControlZeroClient) -> None:
    assert client.has_rust_engine is False


def test_a_request_to_a_model_is_judged_and_given_as_a_dict(gateway: InMemoryGateway, client: ControlZeroClient) -> None:
    allowed = client.check_llm_request("gpt-5.4", "openai", 1_200, functions=["lookup_order"])
    assert allowed is not None
    assert (allowed["effect"], allowed["allowed"], allowed["policy_id"], allowed["evaluated_rules"]) == ("allow", True, "analysts", 6)
    other = client.check_llm_request("gpt-4", "openai", 1_200)
    assert other is not None
    assert (other["effect"], other["policy_id"]) == ("deny", None)
    client.flush()
    first = gateway.decisions()[0]
    assert (first.action, first.resource) == ("llm:generate", "model/gpt-5.4")


def refund() -> None:
    """Named like a function that a model is offered."""


refund.__name__ = "issue_refund"


@pytest.mark.parametrize(
    "function", ["issue_refund", {"name": "issue_refund"}, {"type": "function", "function": {"name": "issue_refund"}}, refund]
)
def test_functions_offered_to_a_model_are_judged_by_name(client: ControlZeroClient, function: object) -> None:
    decision = client.check_llm_request("gpt-5.4", "openai", 10, functions=["lookup_order", function])
    assert decision is not None
    assert decision["effect"] == "deny"


def test_personal_data_in_a_request_is_judged(client: ControlZeroClient) -> None:
    decision = client.check_llm_request("gpt-5.4", "openai", 10, has_pii=True)
    assert decision is not None
    assert (decision["effect"], decision["reason"]) == ("deny", "no personal data")


def test_personal_data_in_a_text_is_found_and_redacted(client: ControlZeroClient) -> None:
    text = "Write to ada@example.org about it"
    found = client.process_pii(text)
    assert found == {
        "action": "detect",
        "has_pii": True,
        "has_secret": False,
        "entities": [{"type": "email", "family": "pii", "start": 9, "end": 24}],
        "text": text,
    }
    redacted = client.process_pii(text, action="redact")
    assert redacted is not None
    assert redacted["text"].startswith("Write to [email:")
    assert "ada@" not in redacted["text"]
    assert client.process_pii("nothing here") == {
        "action": "detect",
        "has_pii": False,
        "has_secret": False,
        "entities": [],
        "text": "nothing here",
    }
    with pytest.raises(ValueError, match="action `hide`: expected one of detect, redact"):
        client.process_pii(text, action="hide")


def run(gateway: InMemoryGateway, work: Callable[[AsyncControlZeroClient], Any], **given: Any) -> Any:
    async def main() -> Any:
        async with AsyncControlZeroClient(api_key=KEY, transport=gateway, **given) as client:
            return await work(client)

    return asyncio.run(main())


def test_the_async_client_carries_out_every_kind_of_tool(gateway: InMemoryGateway, database: Database) -> None:
    gateway.put_session(tools=[McpCommandTool(name="files", command=COMMAND)])

    async def work(client: AsyncControlZeroClient) -> list[Any]:
        client.register_tool("database", database)
        here = threading.get_ident()
        client.register_tool("crm", {"thread": threading.get_ident})
        return [
            await client.call_tool("database", "query", {"sql": "SELECT 1"}),
            await client.call_tool("database", "later", {"sql": "SELECT 1"}),
            await client.call_tool("files", "read_file", {"path": "/a"}),
            await client.call_tool("crm", "thread") == here,
            client.has_rust_engine,
            (await client.process_pii("ada@example.org") or {})["has_pii"],
            (await client.check_llm_request("gpt-5.4", "openai", 10) or {})["effect"],
            await client.flush(),
        ]

    assert run(gateway, work) == [["SELECT 1"], "later SELECT 1", "what /a holds", False, False, True, "allow", None]
    assert [(outcome.status, outcome.carried_out) for outcome in gateway.outcomes()] == [("ok", True)] * 4


def test_the_async_client_denies_before_the_tool_is_invoked(gateway: InMemoryGateway, database: Database) -> None:
    async def work(client: AsyncControlZeroClient) -> None:
        client.register_tool("database", database)
        with pytest.raises(PolicyDeniedError, match="nobody drops tables"):
            await client.call_tool("database", "drop", {"table": "orders"})

    run(gateway, work)
    assert database.done == []


def test_a_call_that_is_cancelled_is_recorded_as_such(gateway: InMemoryGateway) -> None:
    gateway.put_session(tools=[McpCommandTool(name="files", command=COMMAND)])

    async def work(client: AsyncControlZeroClient) -> None:
        assert await client.call_tool("files", "read_file", {"path": "/a"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.call_tool("files", "wait", {"seconds": 2}), timeout=0.2)

    run(gateway, work)
    assert [outcome.status for outcome in gateway.outcomes()] == ["ok", "cancelled"]


def test_the_async_client_wants_to_be_initialized_first(gateway: InMemoryGateway) -> None:
    with pytest.raises(RuntimeError, match=r"call initialize\(\) first"):
        asyncio.run(AsyncControlZeroClient(KEY, transport=gateway).call_tool("database", "query"))


def test_every_name_is_there_and_no_other() -> None:
    assert dir(control_zero) == control_zero.__all__
    assert [getattr(control_zero, name).__name__ for name in control_zero.__all__ if name != "__version__"]
    with pytest.raises(AttributeError, match="it has AsyncControlZeroClient"):
        control_zero.nosuch  # noqa: B018


def test_an_outcome_is_of_its_decision(gateway: InMemoryGateway, client: ControlZeroClient) -> None:
    client.call_tool("database", "query", {"sql": "SELECT 1"})
    client.flush()
    (decision,), (outcome,) = gateway.decisions(), gateway.outcomes()
    assert isinstance(outcome, Outcome)
    assert outcome.decision_id == decision.decision_id


@pytest.mark.parametrize("context", [None, {"resource": "host/a"}])
@pytest.mark.parametrize(("tool", "method"), [("shell", "run"), ("database", "query"), ("files", "read")])
def test_a_call_is_judged_again_as_it_was(gateway: InMemoryGateway, tool: str, method: str, context: dict[str, str] | None) -> None:
    """Workers know the record alone: what the tool's MCP address decided must be in it."""
    gateway.put_policy(POLICY, mode="log-only")
    with ControlZeroClient(KEY, transport=gateway) as client:
        client.register_tool(tool, {method: lambda: None})
        client.call_tool(tool, method, context=context)
        compiled = client.governance.source.governed.compiled
        client.flush()
    (decision,) = gateway.decisions()
    again = compiled.judge(request_of(decision, recorded_under=compiled))
    assert (again.verdict, again.rule_id, again.reason) == (decision.verdict, decision.rule_id, decision.reason)
    assert again.verdict == ("deny" if tool == "shell" else "allow")


def test_a_wrapped_model_is_governed_by_it_too(client: ControlZeroClient) -> None:
    model = wrap_openai(openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{free_port()}"), client)
    with pytest.raises(PolicyDeniedError, match="llm:generate is denied"):
        model.chat.completions.create(model="gpt-4", messages=[])
