"""Why a decision is as it is, in sentences."""

from markupsafe import Markup

from dashboards import marks
from dashboards.answers import Row
from dashboards.words import standing

BUNDLE_STATES = {
    "unconfirmed": "The server gave the agent no answer, or the agent's client was closed: it judged by the last bundle it had.",
    "expired": "The agent's bundle was past its age.",
    "rollback_refused": "The agent was offered an older bundle, refused it, and judged by the one it had.",
    "tampering_refused": "The agent was offered a bundle changed after signing, refused it, and judged by the one it had.",
    "signature_refused": "The agent was offered a bundle that no key it trusts signed for this project, refused it, and judged by the one it had.",
}


def why(decision: Row, *, rules: int | None) -> Markup:
    """Say which rule decided and what came of it; `rules` is how many the policy has, where it is known."""
    said = marks.said("{} {}", _who_decided(decision, rules), _what_followed(decision))
    standing_of_bundle = BUNDLE_STATES.get(decision["bundle_state"] or "")
    return said if standing_of_bundle is None else marks.said("{} {}", said, standing_of_bundle)


def carried_out(outcome: Row) -> str:
    """Say what is known of the action itself."""
    if not outcome:
        return "carried out: unknown"
    done = "carried out" if outcome["carried_out"] else "not carried out"
    return f"{done}, {outcome['status']}" + (f" ({outcome['error_class']})" if outcome["error_class"] else "")


def names_no_reason(decision: Row) -> bool:
    """Say whether the agent gave a verdict without what it comes from: no SDK of ours, a line sent over plain HTTP."""
    return decision["verdict"] is not None and (
        decision["reason_code"] in (None, "governance_off")
        or (decision["reason_code"] == "matched_rule" and not decision["rule_id"] and not decision["policy_id"])
    )


def _who_decided(decision: Row, rules: int | None) -> Markup:
    if decision["verdict"] is None and decision["judged_verdict"] is not None:
        return marks.said("Workers judged it, because nothing did in the agent. {}", _reason(decision, "judged_", rules))
    if not names_no_reason(decision):
        return _reason(decision, "", rules)
    said = marks.said("The agent says <b>{}</b> and names no rule.", decision["verdict"])
    if decision["judged_verdict"] is None:
        return marks.said("{} No policy judged it since.", said)
    return marks.said("{} Workers asked the policy in force: {}", said, _reason(decision, "judged_", rules))


def _reason(decision: Row, prefix: str, rules: int | None) -> Markup:
    """Say what a verdict comes from: the agent's (no prefix), or the workers' (`judged_`)."""
    verdict, code = decision[f"{prefix}verdict"], decision[f"{prefix}reason_code"]
    rule, policy = decision[f"{prefix}rule_id"], decision[f"{prefix}policy_id"]
    if verdict == "not_replayable":
        return marks.said("A masked value ({}) could have decided, so there is no verdict.", marks.mono(decision["not_replayable_key"]))
    match code:
        case "matched_rule":
            place = decision["judged_rule" if prefix else "evaluated_rules"]
            of = f" ({place} of {rules})" if rules and place else ""
            names = rule or "without a name", of, policy or "without a name"
            return marks.said("Rule <b>{}</b>{} of policy {} says <b>{}</b>.", *names, verdict)
        case "default_deny":
            return marks.said("<b>No rule matches it</b>, and what no rule matches is denied.")
        case "malformed_request":
            return marks.said(
                "The action or resource holds <b>control or invisible characters, or a <code>..</code> segment</b>: such a request is denied whatever the rules say."
            )
        case "order":
            denied = marks.said("An <b>order</b> (a kill switch or a budget stop) denied it, in any mode.")
            return marks.said("{} The policy itself says <b>{}</b>.", denied, verdict) if verdict is not None else denied
        case "stale_bundle":
            return marks.said("The agent's policy bundle was <b>past its age</b>, and this project denies then.")
        case "evaluator_error":
            return marks.said("The agent <b>could not evaluate</b> its policy; under enforce that denies.")
        case "unrecordable":
            return marks.said("It <b>could not be recorded</b>, and this project says: no record, no action.")
        case _:
            return marks.said("<b>Nothing was evaluated</b>: governance was off in the agent, and no policy judged it since.")


def _what_followed(decision: Row) -> Markup:
    match standing(verdict=decision["shown_verdict"], mode=decision["mode"], effect=decision["effect"]):
        case "deny":
            return marks.said("The agent was told not to go ahead.")
        case "deny_logged":
            return marks.said("The mode was log-only, so the agent was told to go ahead: <b>deny (logged only)</b>.")
        case "deny_unenforced":
            return marks.said("Nothing in the agent enforced that: it was free to go ahead.")
        case _:
            return marks.said("The agent was free to go ahead.")
