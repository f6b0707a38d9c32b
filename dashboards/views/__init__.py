"""The pages in the order of the navigation, a module each."""

from dashboards.views import decision, decisions, findings, overview, policies, rollout

PAGES = (overview.PAGE, decisions.PAGE, decision.PAGE, findings.PAGE, rollout.PAGE, policies.PAGE)
