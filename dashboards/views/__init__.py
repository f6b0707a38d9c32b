"""The pages in the order of the navigation, a module each."""

from dashboards.views import compliance, decision, decisions, findings, overview, pipeline, policies, rollout

PAGES = (overview.PAGE, decisions.PAGE, decision.PAGE, findings.PAGE, rollout.PAGE, policies.PAGE, compliance.PAGE, pipeline.PAGE)
