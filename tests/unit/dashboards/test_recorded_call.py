import json
import re
from pathlib import Path

import pytest

from controlzero.policy import parse
from cz import policies, policy_cases
from dashboards.recorded_call import case_text, recorded_call, try_address
from dashboards.trial import judge, request_of
from tests.ledgers import POLICY, Grown
from warehouse.snapshot import Warehouse

ALL = "SELECT * FROM decisions WHERE coalesce(verdict, judged_verdict) <> 'not_replayable' ORDER BY occurred_at"
MASKED = {"path": "args.message", "type": "email", "count": 1, "fingerprint": None}


@pytest.fixture(scope="module")
def rows(grown: Grown) -> list[dict]:
    """One decision of each agent, action, resource and reason, and all that nobody judged in the agent."""
    found = Warehouse.open(grown.home / "warehouse" / "ledger").session("default").sql(ALL, {}).to_pylist()
    return list({(row["agent_id"], row["action"], row["resource"], row["verdict"] is None): row for row in found}.values())


def test_every_decision_as_a_test_case_runs_as_copied(rows: list[dict], tmp_path: Path) -> None:
    assert len(rows) > 15
    for number, row in enumerate(rows):
        text = case_text(row)
        assert text is not None
        assert "\u202e" not in text  # nothing that turns the rest of a line around
        (tmp_path / f"{number}_test.yaml").write_text(text, encoding="utf-8")
    ran = policy_cases.run(sorted(tmp_path.iterdir()), policies=[parse(POLICY)])
    assert len(ran.results) == len(rows)
    assert [result for result in ran.results if not result.passed] == []


def test_the_command_takes_it_with_the_policy_beside_it(
    rows: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    row = next(row for row in rows if row["resource"] == "asset/BTC")
    Path("default.yaml").write_text(json.dumps(POLICY))
    Path("case_test.yaml").write_text(case_text(row) or "")
    policies.app(["test", "case_test.yaml", "--policy", "default.yaml"], result_action="return_value")
    assert "1 of 1 case as wanted" in capsys.readouterr().out
    Path("case_test.yaml").write_text((case_text(row) or "").replace("wanted: deny", "wanted: allow"))
    with pytest.raises(SystemExit, match="1"):
        policies.app(["test", "case_test.yaml", "--policy", "default.yaml"], result_action="return_value")


def test_a_case_wants_the_workers_verdict_where_the_agent_had_none_and_is_none_without_any(rows: list[dict]) -> None:
    row = next(row for row in rows if row["verdict"] is None)
    assert f"wanted: {row['judged_verdict']}" in (case_text(row) or "")
    assert case_text({**row, "judged_verdict": "not_replayable"}) is None


def test_a_call_of_a_tool_behind_mcp_on_another_resource_is_a_case_of_guard(rows: list[dict], tmp_path: Path) -> None:
    row = {**rows[0], "tool": "shell", "method": "run", "action": "shell:run", "resource": "x", "facts": '{"@mcp": "mcp://shell/run"}'}
    text = (case_text({**row, "verdict": "deny"})) or ""
    assert "mcp_url: mcp://shell/run" in text
    (tmp_path / "a_test.yaml").write_text(text)
    rules = [{"effect": "deny", "action": "mcp.tool:call", "resource": "mcp://shell/*"}, {"effect": "allow", "action": "*"}]
    assert policy_cases.run([tmp_path / "a_test.yaml"], policies=[parse({"rules": rules})]).failed == 0


def test_the_address_holds_the_call_and_neither_arguments_nor_context(rows: list[dict]) -> None:
    row = next(row for row in rows if row["resource"] == "channel/email-customers")
    to = try_address(row, project="default")
    assert re.fullmatch(
        r"policies\?project=default&try=notification%3Asend&on=channel%2Femail-customers&as=support-bot&decision=[0-9a-f-]{36}",
        to,
    )


def test_the_form_holds_arguments_and_context_as_they_were_stored(rows: list[dict]) -> None:
    row = next(row for row in rows if row["resource"] == "asset/BTC")
    trial = recorded_call(row, recorded_under=None).trial
    assert json.loads(trial.args) == {"asset": "BTC", "quantity": 2}
    context = json.loads(trial.context)
    assert context.pop("user_group") in ("support", "operations")
    assert context.pop("session_id").startswith("trading-agent")
    context.pop("user_id", None)
    assert context == {"tags": {"release": "2026.11", "channel": "web"}}
    assert judge([POLICY], request_of(trial)).rule_id == "no-crypto"


def test_a_masked_value_that_a_rule_reads_leaves_no_verdict_typed_over_or_not(rows: list[dict]) -> None:
    row = next(row for row in rows if row["resource"] == "channel/email-customers")
    reads = {"rules": [{"effect": "deny", "action": "*", "conditions": {"args.message": "*bob@*"}}, {"effect": "allow", "action": "*"}]}
    call = recorded_call({**row, "redactions": [MASKED]}, recorded_under=None)
    assert call.hidden == ("args.message",)
    assert judge([reads], call.request).verdict == "not_replayable"
    assert judge([reads], request_of(call.trial)).verdict == "not_replayable"
    assert judge([POLICY], call.request).rule_id == "no-mail"
    assert (case_text(row) or "").startswith("# A mask stands")


def test_what_was_noted_of_a_masked_value_answers_as_it_did(rows: list[dict]) -> None:
    row = next(row for row in rows if row["resource"] == "channel/email-customers")
    reads = {"rules": [{"effect": "deny", "action": "*", "conditions": {"args.message": "*bob@*"}}, {"effect": "allow", "action": "*"}]}
    noted = {**row, "redactions": [MASKED], "facts": '{"args.message": {"p": [0]}}'}
    assert judge([reads], recorded_call(noted, recorded_under=[reads]).request).verdict == "deny"
    assert judge([reads], recorded_call(noted, recorded_under=None).request).verdict == "not_replayable"
