"""The pages in the order of the navigation, a module each."""

from dashboards.views import (
    compliance,
    decision,
    decisions,
    findings,
    keys,
    members,
    overview,
    pipeline,
    policies,
    project,
    rollout,
    secrets,
    tools,
)

PAGES = (
    overview.PAGE,
    decisions.PAGE,
    decision.PAGE,
    findings.PAGE,
    rollout.PAGE,
    policies.PAGE,
    compliance.PAGE,
    pipeline.PAGE,
    project.PAGE,
    keys.PAGE,
    tools.PAGE,
    secrets.PAGE,
    members.PAGE,
)
