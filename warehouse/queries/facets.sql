-- How many decisions are behind each choice of each filter, the others as they are?
WITH scoped AS (
  SELECT
    standing_of(effect, verdict, mode) AS standing,
    mode,
    coalesce(agent_id, '') AS agent,
    action,
    coalesce(resource_label, '') AS resource,
    rule_of($bundles, rule_id, judged_rule_id) AS rule,
    decisions
  FROM rollup_matching($from_at, $until_at, $finding, $bundles, $change, $candidate)
)
FROM facets_of('scoped', $standing, $mode, $agent, $action, $resource, $rule, $limit)
