-- The same from the decisions themselves, where a filter asks for what no rollup knows?
WITH scoped AS (
  SELECT
    standing_of(effect, shown_verdict, mode) AS standing,
    mode,
    coalesce(agent_id, '') AS agent,
    action,
    coalesce(resource_label(resource), '') AS resource,
    rule_of($bundles, rule_id, judged_rule_id) AS rule,
    1 AS decisions
  FROM decisions_matching($from_at, $until_at, $finding, $session, $bundles, $change, $candidate, $q)
)
FROM facets_of('scoped', $standing, $mode, $agent, $action, $resource, $rule, $limit)
