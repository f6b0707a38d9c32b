"""Decision: one of them, and why it is as it is."""

import json
from typing import Any, Final

import streamlit as st
from markupsafe import Markup

from controlplane.model import PolicyVersion
from dashboards import marks, words
from dashboards.answers import Row
from dashboards.desk import NotHere, View
from dashboards.explain import carried_out, names_no_reason, why
from dashboards.export import uuid_text
from dashboards.frame import Page, home_option, show
from dashboards.masked import redacted, tree
from dashboards.policy_marks import policy_block
from dashboards.policy_text import around, policy_lines, rules_of
from dashboards.recorded_call import case_text, hidden_in, try_address
from dashboards.urls import address, id_of
from dashboards.words import FINDING_WORDS, SEVERITY_TONES

NEIGHBOURS_EACH_SIDE: Final = 6
CLAIMED: Final = "claimed by the agent: its key is not bound to a name"


def draw(view: View) -> None:
    """Draw the decision the address names."""
    text = st.query_params.get("id", "")
    if not text:
        back = marks.link("Choose one", address("decisions", project=view.project.project_id))
        show(marks.empty("No decision chosen", marks.said("This page shows one decision and why it is as it is. {}", back)))
        return
    decision_id = id_of(text)
    decision = view.answers.row("decision", decision_id=decision_id) if decision_id else {}
    if not decision:
        raise NotHere(f"There is no decision {text[:40]} in project {view.project.project_id}.")
    outcome = view.answers.row("decision_outcome", decision_id=decision_id)
    _head(view, decision, outcome)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _policy(view, decision)
        _test_case(view, decision)
        show(marks.heading("Arguments", note="masked as stored"))
        show(tree(decision["args"], view.project.project_id, label="Arguments"))
        _evaluated(view, decision)
    with right:
        _session(view, decision)
        _judgements(view, decision)
        _found(view, decision)
        _record(view, decision, outcome)


def _head(view: View, decision: Row, outcome: Row) -> None:
    pill = marks.verdict_pill(verdict=decision["shown_verdict"], mode=decision["mode"], effect=decision["effect"])
    on = marks.said(" on {}", marks.mono(decision["resource"])) if decision["resource"] else Markup("")
    show(
        marks.said(
            '<div class="cz-verdict">{} {} <span class="cz-verdict-what">{}{}</span></div><p class="cz-quiet cz-line-quiet">{} by <b>{}</b> · {} UTC · {}</p>',
            pill, marks.mode_pill(decision["mode"]), marks.mono(decision["action"]), on, "asked",
            decision["agent_id"] or "an agent without a name", words.moment(decision["occurred_at"], micros=True), carried_out(outcome),
        )
    )  # fmt: skip
    show(marks.headline(why(decision, rules=_rule_count(view, decision))))
    if decision["reason"]:
        show(marks.said('<blockquote class="cz-reason">{}</blockquote>', redacted(decision["reason"], view.project.project_id)))


def _signed(view: View, digest: str | None) -> Any:
    return view.plane.by_digest(view.project.project_id, digest) if digest else None


def _deciding(decision: Row) -> tuple[str | None, int | None]:
    """Return the bundle that decided and its deciding rule's place: the agent's, else the workers'."""
    if decision["verdict"] is not None and decision["bundle_digest"] and not names_no_reason(decision):
        return decision["bundle_digest"], decision["evaluated_rules"] if decision["reason_code"] == "matched_rule" else None
    return decision["judged_bundle_digest"], decision["judged_rule"]


def _rule_count(view: View, decision: Row) -> int | None:
    signed = _signed(view, _deciding(decision)[0])
    return len(rules_of(signed.policies)) if signed else None


def _policy(view: View, decision: Row) -> None:
    digest, rule = _deciding(decision)
    signed = _signed(view, digest)
    try_it = marks.link("Try this call", try_address(decision, project=view.project.project_id), hint="On the test bench of the policy")
    if signed is None:
        text = (
            "No policy judged it."
            if digest is None
            else f"Its bundle {digest[:12]}… was not signed for this project, so its text is not known here."
        )
        show(marks.heading("Policy", note=try_it))
        show(marks.empty("No policy text", text))
        return
    version = signed.version if isinstance(signed, PolicyVersion) else None
    name = f"version {version}" if version else "a candidate"
    to = address("policies", project=view.project.project_id, version=version)
    asked_after = names_no_reason(decision)
    what = "rule" if rule else "policy"
    note = marks.joined((marks.link(f"policy {name}", to), try_it), " · ")
    show(marks.heading(f"The {what} workers asked" if asked_after else f"The {what} that decided", note=note))
    lines = policy_lines(signed.policies)
    show(policy_block(around(lines, rule) if rule else lines[-8:], chosen=rule))
    by_workers = asked_after or decision["verdict"] is None
    if rule is None and decision["judged_reason_code" if by_workers else "reason_code"] == "default_deny":
        show(marks.quiet(f"None of its {len(rules_of(signed.policies))} rules matches; these are the last of them."))


def _test_case(view: View, decision: Row) -> None:
    text = case_text(decision)
    if text is None:
        return
    with st.expander("Copy as a test case", icon=":material/content_copy:"):
        policy = f"{view.project.project_id}.yaml"
        said = "Save it as <code>case_test.yaml</code> and run it, or put its case into the test file you have. It wants the verdict recorded here."
        show(marks.quiet(marks.said(said)))
        st.code(text, language="yaml", wrap_lines=True)
        st.code(
            f"cz policy show --project {view.project.project_id}{home_option(view)} > {policy}\ncz policy test case_test.yaml --policy {policy}",
            language="bash",
            wrap_lines=True,
        )
        if hidden_in(decision):
            show(
                marks.quiet(
                    "A mask stands in the place of a value that is not kept: a rule that reads it may answer otherwise, until you write one of your own there."
                )
            )


def _evaluated(view: View, decision: Row) -> None:
    show(marks.heading("What was evaluated"))
    claimed = "named by the caller" if decision["resource_claimed"] else "taken from the arguments"
    identity = [
        (
            name,
            marks.said(
                '{} <span class="cz-quiet">{}</span>',
                redacted(decision[key], view.project.project_id),
                CLAIMED if key == "agent_id" else "",
            ),
        )
        for name, key in (
            ("agent", "agent_id"),
            ("user", "user_id"),
            ("user group", "user_group"),
            ("session", "session_id"),
            ("environment", "environment"),
        )
        if decision[key]
    ]
    asked: list[tuple[str, str | Markup]] = [("action", marks.mono(decision["action"]))]
    if decision["action_raw"] and decision["action_raw"] != decision["action"]:
        asked.append(("as given", marks.mono(decision["action_raw"])))
    asked.append(
        (
            "resource",
            marks.said("{} {}", redacted(decision["resource"], view.project.project_id), marks.quiet(claimed))
            if decision["resource"]
            else marks.quiet("none"),
        )
    )
    show(marks.facts([*asked, *identity]))
    for name, label in (("tags", "Tags"), ("facts", "Facts the policy reads")):
        if decision[name] and decision[name] != "null":
            show(marks.heading(label))
            show(tree(decision[name], view.project.project_id, label=label))


def _session(view: View, decision: Row) -> None:
    session_id = decision["session_id"]
    to = address("decisions", project=view.project.project_id, session=session_id, range="14d") if session_id else ""
    show(marks.heading("Its session", note=marks.link("all of it", to) if session_id else ""))
    if not session_id:
        show(marks.quiet("The agent named no session, so nothing can be shown beside it."))
        return
    rows = view.answers.rows("session_neighbours", session_id=session_id, at=decision["occurred_at"], each_side=NEIGHBOURS_EACH_SIDE)
    show(marks.said('<ol class="cz-timeline" aria-label="Session">{}</ol>', marks.joined(_moment(view, decision, row) for row in rows)))


def _moment(view: View, decision: Row, row: Row) -> Markup:
    away_s = (row["occurred_at"] - decision["occurred_at"]).total_seconds()
    here = row["decision_id"] == decision["decision_id"]
    when = "this one" if here else f"{'+' if away_s >= 0 else MINUS}{_seconds(abs(away_s))}"
    what = marks.said("{} {}", marks.mono(row["action"]), marks.quiet(marks.mono(row["resource"])) if row["resource"] else "")
    name = what if here else marks.link(what, address("decision", project=view.project.project_id, id=uuid_text(row["decision_id"])))
    return marks.said(
        '<li{}><span class="cz-timeline-when">{}</span>{}<span class="cz-timeline-what">{}</span></li>',
        Markup(" class=cz-timeline-here aria-current=true") if here else "",
        when,
        marks.verdict_pill(verdict=row["shown_verdict"], mode=row["mode"], effect=row["effect"]),
        name,
    )


MINUS: Final = "\N{MINUS SIGN}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _judgements(view: View, decision: Row) -> None:
    show(marks.heading("Who says what", note="one evaluator, asked by each"))
    rows = [("the agent", _word(decision["verdict"]), marks.mono(decision["rule_id"]), _version(view, decision["bundle_digest"]))]
    rows.append(
        (
            "workers",
            _word(decision["judged_verdict"]),
            marks.mono(decision["judged_rule_id"]),
            _version(view, decision["judged_bundle_digest"]),
        )
    )
    for digest, answer in json.loads(decision["candidates"] or "{}").items():
        rows.append(("candidate", _word(answer.get("verdict")), marks.mono(answer.get("rule_id")), _version(view, digest)))
    show(marks.table(("By", "Verdict", "Rule", "Policy"), rows, label="Judgements"))
    if decision["verdict"] and decision["judged_verdict"] not in (decision["verdict"], "not_replayable", None):
        because = (
            "the agent named no rule, so what it went by is not known"
            if names_no_reason(decision)
            else "the agent may have judged under another version"
        )
        show(marks.banner("warn", f"The agent and the workers disagree; {because}.", icon_name="triangle"))


def _word(verdict: str | None) -> Markup:
    known: dict[str, words.Tone] = {"allow": "allow", "audit": "audit", "warn": "warn", "deny": "deny"}
    if verdict in known:
        return marks.said('<span class="cz-word cz-{}">{}</span>', known[verdict], verdict)
    return marks.quiet("not replayable" if verdict == "not_replayable" else "not evaluated")


def _version(view: View, digest: str | None) -> Markup:
    signed = _signed(view, digest)
    if signed is None:
        return marks.mono(digest and f"{digest[:12]}…")
    if isinstance(signed, PolicyVersion):
        return marks.link(f"version {signed.version}", address("policies", project=view.project.project_id, version=signed.version))
    return marks.said("{}", signed.name)


def _found(view: View, decision: Row) -> None:
    rows = view.answers.rows("decision_findings", decision_id=decision["decision_id"])
    show(marks.heading("Found in it"))
    if not rows and not decision["redactions"]:
        show(marks.quiet("No personal data, secret or drift."))
        return
    lines = [
        marks.said(
            "<li>{} {} {}<br>{}</li>",
            marks.pill(FINDING_WORDS.get(row["type"], row["type"]), SEVERITY_TONES.get(row["severity"], "none")),
            row["detail"].replace("_", " "),
            marks.said("at {}", marks.mono(row["path"])) if row["path"] else "",
            marks.quiet(redacted(row["message"] or "", view.project.project_id)),
        )
        for row in rows
    ]
    if lines:
        show(marks.said('<ul class="cz-found">{}</ul>', marks.joined(lines)))
    if decision["redactions"]:
        named = {(row["path"], row["detail"]) for row in rows}  # a finding says by whom its value was masked
        others = [each for each in decision["redactions"] if (each["path"], each["type"]) not in named]
        receipt = ", ".join(f"{each['count']} {words.readable(each['type'])} at {each['path']}" for each in others)
        if receipt:
            show(marks.quiet(f"Masked or cut before it was stored: {receipt}."))


def _record(view: View, decision: Row, outcome: Row) -> None:
    show(marks.heading("The record"))
    pairs: list[tuple[str, str | Markup]] = [
        ("decision", marks.mono(uuid_text(decision["decision_id"]))),
        ("occurred", f"{words.moment(decision['occurred_at'], micros=True)} UTC, by the agent's clock"),
        ("received", f"{words.moment(decision['received_at'], micros=True)} UTC, by ours"),
        ("effect", decision["effect"]),
        ("outcome", carried_out(outcome)),
    ]
    if outcome:
        pairs += [
            (name, f"{words.figure(outcome[key])}{unit}")
            for name, key, unit in (
                ("latency", "latency_ms", " ms"),
                ("input tokens", "input_tokens", ""),
                ("output tokens", "output_tokens", ""),
                ("cost", "cost_usd", " USD"),
            )
            if outcome[key] is not None
        ]
        if outcome["denial_unread"]:
            pairs.append(("denial", "nobody in the agent read the denial"))
    pairs += [
        (
            "evaluated in",
            f"{decision['evaluation_time_ns'] / 1000:,.0f} µs, {words.count(decision['evaluated_rules'], 'rule')}"
            if decision["verdict"] and decision["evaluated_rules"]
            else "the agent does not say"
            if decision["verdict"]
            else "not evaluated",
        ),
        ("tool", marks.mono(" ".join(filter(None, (decision["tool"], decision["method"]))) or None)),
        ("trace", marks.mono(decision["trace_id"])),
        (
            "digest of arguments",
            marks.mono(decision["args_digest"].hex() if isinstance(decision["args_digest"], bytes) else decision["args_digest"]),
        ),
        ("SDK", decision["sdk"] or marks.NOTHING),
        ("producer", marks.said("{} {}", marks.mono(decision["producer_id"]), marks.quiet(f"number {decision['seq']:,}"))),
        ("place in the log", f"partition {decision['log_partition']}, offset {decision['log_offset']:,}"),
    ]
    show(marks.facts(pairs))
    show(marks.heading("Link to this decision"))
    st.code(
        f"{_origin()}/{address('decision', project=view.project.project_id, id=uuid_text(decision['decision_id']))}",
        language=None,
        wrap_lines=True,
    )


def _origin() -> str:
    url = str(st.context.url or "").rstrip("/")
    return url.removesuffix("/decision")


PAGE = Page(
    name="decision",
    title="Decision",
    icon=":material/fact_check:",
    section="Watch",
    show=draw,
    summary="One decision: why, what was evaluated, what became of it, and what happened around it.",
    toolbar="project",
    hidden=True,
)
