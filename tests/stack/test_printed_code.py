"""The Python of the documents 000, 002 and 003 runs as printed against the running product, and comes out as they say."""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controlplane.service import ControlPlane
from controlzero.settings import BASE_URL, read_settings
from cz.up import Stack
from tests.model_stub import Model, model_stub
from tests.printed import API_KEY, VAULT_KEY, Reader, snippets, the_policy, the_snippet, with_messages
from tests.stacks import cz, last_json, stack_over
from topics.sqlite import SqliteLog

OWN_MODELS = {
    "name": "own-models",
    "rules": [
        {"effect": "deny", "action": "llm:generate", "resource": "model/gpt-5.4"},
        {"effect": "allow", "action": "llm:generate", "resource": "model/*"},
    ],
}
ALLOW_ALL = {"name": "all", "rules": [{"effect": "allow", "action": "*"}]}
POLICIES = {
    "tiers": the_policy("000", "multi-agent-governance"),
    "proj_dev_001": the_policy("000", "dev-permissive"),
    "proj_staging_001": the_policy("000", "staging-moderate"),
    "proj_prod_001": the_policy("000", "production-strict"),
    "rollout": OWN_MODELS,
    "trading": the_policy("000", "trading-agent-policy"),
    "healthcare": the_policy("000", "healthcare-agent-policy"),
    "own-models": OWN_MODELS,
    "all": ALLOW_ALL,
    "allowlist": the_policy("002", "openai-model-governance"),
    "per-agent": the_policy("002", "premium-*"),
    "support": the_policy("003", "support-bot-policy"),
}
LOG_ONLY = {"rollout"}
SECRET = "sk-out-of-the-vault"
# What a document leaves to its reader: to ask for a model, and to tell what comes of it.
ASK = """
def asked(client, model):
    try:
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content
    except controlzero.PolicyDeniedError as denied:
        return f"denied by {denied.decision.policy_id}: {denied.decision.reason_code}"
"""
SETUP = "import controlzero, openai\nfrom controlzero import Client\nfrom controlzero.integrations.openai import wrap_openai\n"
CLIENT = "cz = controlzero.init()\nclient = wrap_openai(openai.OpenAI(), cz)\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the documents' projects, their policies and their example keys."""
    folder = tmp_path_factory.mktemp("home")
    with closing(SqliteLog(folder / "log.db")) as log:
        for key in (API_KEY, VAULT_KEY):
            with ControlPlane(folder, log, token=lambda _, key=key: key.removeprefix("cz_live_")) as plane:
                if key is API_KEY:
                    prepare(plane)
                assert plane.create_key(list(POLICIES), actor="test")[0] == key
    return folder


def prepare(plane: ControlPlane) -> None:
    for project, policy in POLICIES.items():
        plane.create_project(project, actor="test")
        plane.apply_policy(project, policy, actor="test")
        plane.set_mode(project, "log-only" if project in LOG_ONLY else "enforce", actor="test")
    plane.set_secret("all", "openai", SECRET, actor="test")


@pytest.fixture(scope="module")
def product(home: Path) -> Iterator[Stack]:
    with stack_over(home) as stack:
        yield stack


@pytest.fixture
def model() -> Iterator[Model]:
    with model_stub() as running:
        yield running


@pytest.fixture
def reader(product: Stack, model: Model, tmp_path: Path) -> Reader:
    return Reader(product.api_url, model.url, tmp_path)


def probe(**calls: str) -> str:
    """Code that prints what each call comes to, as JSON."""
    return "import json\nprint(json.dumps({" + ", ".join(f"{name!r}: {call}" for name, call in calls.items()) + "}))"


def told(lines: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def test_the_default_address_is_the_local_products() -> None:
    assert BASE_URL == "http://127.0.0.1:8700"
    assert read_settings({"CONTROLZERO_API_KEY": API_KEY}).base_url == BASE_URL


def test_playbook_1_each_agent_reaches_its_own_models(reader: Reader) -> None:
    models = ("gpt-5.4", "gpt-3.5-turbo", "gpt-4o")
    calls = {f"{tier} {model}": f"asked({tier}_client, {model!r})" for tier in ("premium", "basic", "admin") for model in models}
    found = told(reader.run(the_snippet("000", "premium_client"), "import controlzero", ASK, probe(**calls), project="tiers"))
    answered = {call for call, answer in found.items() if answer == "Paris."}
    assert answered == {f"{tier} gpt-3.5-turbo" for tier in ("premium", "basic", "admin")} | {"premium gpt-5.4", "admin gpt-5.4"}
    assert {found[call] for call in found.keys() - answered} == {"denied by multi-agent-governance: matched_rule"}


@pytest.mark.parametrize(
    ("project", "allowed"),
    [
        ("proj_dev_001", {"gpt-5.4", "gpt-3.5-turbo", "write", "shell"}),
        ("proj_staging_001", {"gpt-5.4", "gpt-3.5-turbo"}),
        ("proj_prod_001", {"gpt-5.4"}),
    ],
)
def test_playbook_2_the_same_code_under_another_projects_policy(reader: Reader, project: str, allowed: set[str]) -> None:
    calls = {
        "gpt-5.4": "asked(client, 'gpt-5.4') == 'Paris.'",
        "gpt-3.5-turbo": "asked(client, 'gpt-3.5-turbo') == 'Paris.'",
        "write": "cz.guard('data', method='write').allowed",
        "shell": "cz.guard('mcp.tool', method='call', context={'resource': 'mcp://shell/run'}).allowed",
    }
    code = the_snippet("000", "reads CONTROLZERO_PROJECT_ID from env")
    lines = reader.run(code, "import controlzero", ASK, "assert response.choices[0].message.content", probe(**calls), project=project)
    assert {call for call, is_allowed in told(lines).items() if is_allowed} == allowed


def test_playbook_3_log_only_blocks_nothing_tells_all_and_is_switched_to_enforcement(reader: Reader, home: Path) -> None:
    code = the_snippet("000", "Works fine even if the policy would deny it")
    last_json(cz(home, "policy", "apply", policy_file(reader.folder, ALLOW_ALL), "--project", "rollout", "--json", "--yes"))
    reader.run(SETUP, code, "print(response.choices[0].message.content)", project="rollout")
    last_json(cz(home, "policy", "apply", policy_file(reader.folder, OWN_MODELS), "--project", "rollout", "--json", "--yes"))
    assert reader.run(SETUP, code, "print(response.choices[0].message.content)", project="rollout") == ["Paris."]
    assert audit_log(home, "rollout", rows=2) == [
        ("llm:generate", "model/gpt-5.4", "allow", "log-only"),
        ("llm:generate", "model/gpt-5.4", "deny (logged only)", "log-only"),
    ]
    last_json(cz(home, "mode", "set", "enforce", "--project", "rollout", "--yes", "--json"))
    assert "PolicyDeniedError: llm:generate is denied" in reader.fail(SETUP, code, project="rollout")


def policy_file(folder: Path, policy: dict[str, Any]) -> Path:
    path = folder / f"{policy['name']}.json"
    path.write_text(json.dumps(policy), encoding="utf-8")
    return path


def audit_log(home: Path, project: str, *, rows: int) -> list[tuple[str, str, str, str]]:
    """Return the table of step 3 once so many rows have landed."""
    for _ in range(30):
        lines = cz(home, "decisions", "--project", project, "--json").stdout.splitlines()
        if len(lines) >= rows:
            break
    found = [json.loads(line) for line in lines]
    told = [
        each["shown_verdict"] if each["shown_verdict"] == each["effect"] else f"{each['shown_verdict']} (logged only)" for each in found
    ]
    return [(each["action"], each["resource"], word, each["mode"]) for each, word in zip(found, told, strict=True)]


def effects(snippet: str) -> str:
    """Code that asks again what each statement of a snippet asks, and prints the effects."""
    calls = [ast.unparse(statement) for statement in ast.parse(snippet).body]
    return f"print(*[decision.effect for decision in [{', '.join(calls)}]])"


@pytest.mark.parametrize(
    ("holds", "project", "expected"),
    [("trading agent", "trading", "allow deny allow allow"), ('"patient"', "healthcare", "allow allow allow")],
)
def test_playbook_4_actions_of_ones_own(reader: Reader, holds: str, project: str, expected: str) -> None:
    code = the_snippet("000", holds)
    assert reader.run(SETUP, CLIENT, code, effects(code), project=project) == [expected]


def test_playbook_4_what_the_policies_say_beyond_the_calls_shown(reader: Reader) -> None:
    calls = {
        "billing": "cz.guard('patient', method='read', args={'record': 'billing'}).reason_code",
        "prescription": "cz.guard('patient', method='write', args={'record': 'prescription'}).rule_id",
    }
    assert told(reader.run(SETUP, CLIENT, probe(**calls), project="healthcare")) == {
        "billing": "matched_rule",
        "prescription": "healthcare-agent-policy#5",
    }


def test_playbook_5_a_denial_stops_the_request_or_falls_back(reader: Reader, model: Model) -> None:
    fail_fast, fall_back = the_snippet("000", "If denied, the error propagates"), the_snippet("000", "gpt-5.4-mini")
    assert "PolicyDeniedError" in reader.fail(SETUP, CLIENT, fail_fast, project="own-models")
    # `messages=[...]` is a list with an Ellipsis: judged like any other call, and then it is the model's client that cannot send it
    assert "ellipsis" in reader.fail(SETUP, CLIENT, fail_fast, project="all").lower()
    assert "ellipsis" in reader.fail(SETUP, CLIENT, fall_back, project="own-models").lower()
    assert model.asked == []
    spoken = fall_back.replace("[...]", "[{'role': 'user', 'content': 'Hello'}]")
    assert reader.run(SETUP, CLIENT, spoken, "print(response.choices[0].message.content)", project="own-models") == ["Paris."]
    assert [name for _, name in model.asked] == ["gpt-5.4-mini"]


def test_playbook_5_a_decision_can_be_looked_at_first(reader: Reader) -> None:
    check = the_snippet("000", "decision.effect")
    assert reader.run(SETUP, CLIENT, check, project="own-models") == ["Not allowed: rule `own-models#1` of policy `own-models` says deny"]
    assert "ellipsis" in reader.fail(SETUP, CLIENT, check, project="all").lower()


def test_playbook_5_a_degraded_answer_leaves_a_warning(reader: Reader, model: Model) -> None:
    call = 'print(safe_generate("Hello", preferred_model="gpt-5.4", fallback_model="gpt-5.4-mini"))'
    heard = "logging.basicConfig(format='%(message)s', stream=__import__('sys').stdout)"
    warned, answer = reader.run(SETUP, CLIENT, the_snippet("000", "safe_generate"), heard, call, project="own-models")
    assert warned == "Model gpt-5.4 denied by policy, falling back to gpt-5.4-mini: rule `own-models#1` of policy `own-models` says deny"
    assert answer == "Paris."
    assert [name for _, name in model.asked] == ["gpt-5.4-mini"]


def test_playbook_6_wrapped_calls_and_own_actions_together(reader: Reader, home: Path) -> None:
    search = "def search_vector_store(query):\n    return f'what is known of {query}'\n"
    code = the_snippet("000", "research(query")
    assert reader.run(search, code, 'print(research("enzymes"))', project="all") == ["Paris."]


def test_openai_integration_two_lines_govern_a_client(reader: Reader, model: Model) -> None:
    code = the_snippet("002", "What is the capital of France?")
    assert reader.run(code, project="allowlist") == ["Paris."]
    assert model.asked == [("sk-of-nobody", "gpt-4")]


def test_openai_integration_the_allowlist_lets_through_what_it_names_and_nothing_else(reader: Reader, model: Model) -> None:
    code = with_messages(the_snippet("002", "ALLOWED -- matches"))
    printed = re.findall(r"# (ALLOWED|BLOCKED)[^\n]*\n([^\n]*)", code)
    assert [word for word, _ in printed] == ["ALLOWED", "ALLOWED", "BLOCKED", "BLOCKED", "ALLOWED"]
    tried = "".join(
        f"try:\n    {call}\n    print('ALLOWED')\nexcept controlzero.PolicyDeniedError:\n    print('BLOCKED')\n" for _, call in printed
    )
    assert reader.run(SETUP, CLIENT, tried, project="allowlist") == [word for word, _ in printed]
    assert [name for _, name in model.asked] == ["gpt-4", "gpt-3.5-turbo", "text-embedding-3-small"]
    blocked = told(
        reader.run(SETUP, CLIENT, ASK, probe(turbo="asked(client, 'gpt-4-turbo')", other="asked(client, 'gpt-4o')"), project="allowlist")
    )
    assert blocked == {"turbo": "denied by openai-model-governance: matched_rule", "other": "denied by None: default_deny"}


def test_openai_integration_a_denied_model_falls_back(reader: Reader, model: Model) -> None:
    code = the_snippet("002", "Fall back to an approved model")
    assert reader.run(SETUP, CLIENT, code, "print(response.choices[0].message.content)", project="allowlist") == ["Paris."]
    assert [name for _, name in model.asked] == ["gpt-4"]


def test_openai_integration_each_wrapped_client_is_its_own_agent(reader: Reader) -> None:
    calls = {
        f"{tier} {model}": f"asked({tier}_client, {model!r}) == 'Paris.'"
        for tier in ("premium", "basic")
        for model in ("gpt-4", "gpt-3.5-turbo")
    }
    code = the_snippet("002", "Premium support agent")
    found = told(reader.run(SETUP, CLIENT, code, ASK, probe(**calls), project="per-agent"))
    assert found == {"premium gpt-4": True, "premium gpt-3.5-turbo": True, "basic gpt-4": False, "basic gpt-3.5-turbo": True}


def test_openai_integration_the_vault_holds_the_models_key(reader: Reader, model: Model) -> None:
    code = the_snippet("002", "secrets_enabled")
    ask = "print(client.chat.completions.create(model='gpt-4', messages=[{'role': 'user', 'content': 'Hello'}]).choices[0].message.content)"
    assert reader.run(SETUP, code, ask, project="all", CONTROLZERO_API_KEY="") == ["Paris."]
    assert model.asked == [(SECRET, "gpt-4")]


def test_the_support_bot_looks_up_escalates_and_may_not_refund(reader: Reader, model: Model) -> None:
    messages = ("Where is my order?", "Show me my account", "I want a refund", "Get me a human", "What is the capital of France?")
    talk = "\n".join(f"print(handle_customer_message({message!r}, []))" for message in messages)
    assert reader.run(*snippets("003"), talk, project="support") == [
        "Tool result (lookup_order): {'order_id': 'A-1', 'status': 'shipped', 'eta': '2026-03-05'}",
        "Tool result (lookup_account): {'customer_id': 'C-1', 'name': 'Jane Doe', 'tier': 'premium'}",
        "I am not authorized to perform that action. Let me connect you with a human agent who can help.",
        "Tool result (escalate_to_human): {'escalated': True, 'reason': 'asked for'}",
        "Paris.",
    ]
    assert len(model.asked) == len(messages)


def test_every_snippet_of_the_three_documents_is_run_above() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    named = [(document, holds) for document, _, holds in re.findall(r'the_snippet\("(\d+)", (["\'])(.*?)\2\)', source)]
    named += [("000", "trading agent"), ("000", '"patient"')]
    run = {the_snippet(document, holds) for document, holds in named} | set(snippets("003"))
    assert [snippet for document in ("000", "002", "003") for snippet in snippets(document) if snippet not in run] == []
