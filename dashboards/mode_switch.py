"""The switch of a project's mode: asked for anywhere, it states in numbers what follows before anything changes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from controlzero.records import Mode
from dashboards import marks
from dashboards.asking import ask
from dashboards.consequence import BUTTONS, Consequence, consequence_of, said_of
from dashboards.counting import window_parameters
from dashboards.desk import View
from dashboards.policy_in_force import bundles_of
from dashboards.policy_text import rules_of
from dashboards.window import within

EVER: Final = {"from_at": datetime(1970, 1, 1, tzinfo=UTC), "until_at": datetime(9999, 1, 1, tzinfo=UTC)}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the numbers of a change are about: the policy in force alone, under each bundle it was signed in."""

    bundles: list[str]
    happened: Consequence
    judged_ever: bool


def evidence_of(view: View) -> Evidence:
    """Return what the policy in force said of the window's decisions."""
    bundles = bundles_of(view.plane.policy_versions(view.project.project_id), view.project.policy_digest)
    about = {"digests": bundles, "log_only_rules": log_only_rules(view)}
    row = view.answers.row("mode_consequence", **about, **window_parameters(view.window))
    judged_ever = bool(row["judged"] or view.answers.row("mode_consequence", **about, **EVER)["judged"])
    return Evidence(bundles=bundles, happened=consequence_of(row, period=within(view.window)), judged_ever=judged_ever)


def log_only_rules(view: View) -> list[int]:
    """Return the places, from 1, of the rules of the policy in force that only log."""
    if view.project.version is None:
        return []
    rules = rules_of(view.plane.policy(view.project.project_id).policies)
    return [place for place, rule in enumerate(rules, 1) if rule.get("mode") == "log-only"]


def ask_about_mode(view: View, mode: Mode) -> None:
    """Ask for the switch, stating what it means in numbers, and write it through the control plane."""

    def follows(now: View) -> Markup:
        evidence = evidence_of(now)
        return marks.said(
            "<p>{} is in mode {}; it would be in mode {}.</p><p>{}</p>",
            now.project.project_id,
            marks.mode_pill(now.project.mode),
            marks.mode_pill(mode),
            said_of(mode, evidence.happened, judged_ever=evidence.judged_ever),
        )

    ask(
        view,
        f"{BUTTONS[mode]}?",
        key=f"mode-{mode}",
        follows=follows,
        action=BUTTONS[mode],
        change=lambda now, why: now.plane.set_mode(now.project.project_id, mode, actor=now.actor, why=why),
    )
