"""A recorded decision as the call it was: to try it again on the test bench, and as a case of a policy's tests."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from controlplane.wording import yaml_text
from controlzero import policy
from controlzero.policy import CompiledPolicy, Request
from controlzero.policy.facts import request_of
from controlzero.policy.parse import EFFECTS
from controlzero.policy.recorded import WHO, call_of
from controlzero.records import ABSENT, RESOURCE_KEPT_CHARS_MAX, Decision, Redaction
from dashboards import words
from dashboards.answers import Row
from dashboards.export import uuid_text
from dashboards.policy_text import Policies
from dashboards.trial import FACTS_CHARS_MAX, Trial
from dashboards.urls import TEXT_CHARS_MAX, address

ASKED_IN: Final = ("action", "resource", *WHO, "args", "tags")  # what rules read
MASK_HINT: Final = "# A mask stands in the place of a value: write one of your own there.\n"


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """The call of a decision: `trial` as the form says it, `request` as the evaluator is asked of what is known of it."""

    decision: Row
    trial: Trial
    request: Request
    hidden: tuple[str, ...]


def recorded_call(row: Row, *, recorded_under: Policies | None) -> RecordedCall:
    """Return the call of a decision of the ledger; `recorded_under` are the policies its facts were noted under, if they are known."""
    decision = _decision(row)
    compiled = None if recorded_under is None else CompiledPolicy([policy.parse(each) for each in recorded_under])
    request = request_of(decision, recorded_under=compiled, is_landed=True)
    return RecordedCall(decision=row, trial=_trial(decision), request=request, hidden=hidden_in(row))


def hidden_in(row: Row) -> tuple[str, ...]:
    """Name what of a call was masked or cut before it was stored."""
    paths = [each["path"] for each in row["redactions"] or () if each["path"].startswith(ASKED_IN)]
    is_cut = row["resource_claimed"] and len(row["resource"] or "") >= RESOURCE_KEPT_CHARS_MAX
    noted = [key for key, value in _facts(row).items() if not key.startswith("@") and isinstance(value, dict) and "m" in value]
    return tuple(dict.fromkeys([*paths, *(["resource"] if is_cut else []), *noted]))


def try_address(row: Row, *, project: str) -> str:
    """Return the address of the test bench with this call in it."""
    trial = _trial(_decision(row))
    asked: dict[str, Any] = {"try": trial.action, "on": trial.resource, "as": trial.agent_id, "decision": uuid_text(row["decision_id"])}
    return address("policies", project=project, **asked)


def case_text(row: Row) -> str | None:
    """Return a test of the policy that asks this call and wants its verdict, as YAML; None where nobody gave a verdict."""
    wanted = next((row[key] for key in ("verdict", "judged_verdict") if row[key] in EFFECTS), None)
    if wanted is None:
        return None
    said = msgspec.to_builtins(call_of(_decision(row)))
    reached = _facts(row).get("@mcp")
    if isinstance(reached, str) and row["tool"]:  # the URL of its tool is another than the resource: only `guard` says both
        asked = {"tool": row["tool"], "method": row["method"], **said, "mcp_url": reached}
        call = {"guard": {key: value for key, value in asked.items() if key != "action" and value is not None}}
    else:
        call = {"call": said}
    when = f"{words.moment(row['occurred_at'])} UTC, decision {uuid_text(row['decision_id'])}"
    text = yaml_text({"cases": [{"description": f"{row['agent_id'] or 'an agent'}, {when}", **call, "wanted": wanted}]})
    return f"{MASK_HINT}{text}" if hidden_in(row) else text


def _trial(decision: Decision) -> Trial:
    """Return the call as the form says it: who acts but the agent, and the tags, are in its context."""
    call = call_of(decision)
    context = {key: value for key, value in call.context.items() if key != "agent_id"}
    agent_id = call.context.get("agent_id")
    if not isinstance(agent_id, str):  # an agent named by no text: only the context can say it
        context |= {} if agent_id is None else {"agent_id": agent_id}
    return Trial(
        action=_in_address(call.action),
        resource=_in_address(call.resource),
        agent_id=_in_address(agent_id) if isinstance(agent_id, str) else "",
        args=_json(call.args),
        context=_json({**context, **({"tags": call.tags} if call.tags else {})}),
    )


def _in_address(text: str | None) -> str:
    return (text or "")[:TEXT_CHARS_MAX].strip()


def _json(members: object) -> str:
    return msgspec.json.format(msgspec.json.encode(members), indent=0).decode()[:FACTS_CHARS_MAX] if members else ""


def _facts(row: Row) -> dict[str, Any]:
    found = msgspec.json.decode(row["facts"] or "null")
    return found if isinstance(found, dict) else {}


def _decision(row: Row) -> Decision:
    """Return the record again, as far as its call goes."""
    fields: dict[str, Any] = {key: row[key] for key in ("action", "action_raw", "resource", "resource_claimed", "reason_code", *WHO)}
    fields |= {key: ABSENT if row[key] is None else Raw(row[key].encode()) for key in ("args", "tags", "facts")}
    redactions = tuple(Redaction(path=each["path"], type=each["type"]) for each in row["redactions"] or ())
    return Decision(decision_id="", occurred_at=0, mode=row["mode"], effect=row["effect"], redactions=redactions, **fields)
