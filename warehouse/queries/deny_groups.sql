-- Which agents, actions, resources and rules do denials come from, largest first?
SELECT
  verdict,
  mode,
  effect,
  agent_id,
  action,
  resource_label AS resource,
  coalesce(rule_id, judged_rule_id) AS rule_id,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  max(occurred_minute) AS last_at
FROM rollup_between($from_at, $until_at)
WHERE (verdict = 'deny' OR effect = 'deny')
GROUP BY ALL
ORDER BY decisions DESC, last_at DESC, agent_id, action, resource, rule_id
LIMIT $limit
