-- Where do findings come from: the same thing, of the same agent, at the same place?
SELECT
  type,
  detail,
  severity,
  agent_id,
  action,
  path,
  CAST(sum(count) AS BIGINT) AS found,
  count(*) AS findings,
  min(occurred_at) AS first_at,
  max(occurred_at) AS last_at,
  arg_max(message, occurred_at) AS message,
  arg_max(decision_id, occurred_at) AS decision_id
FROM findings
WHERE occurred_at >= $from_at AND occurred_at < $until_at
  AND (len($types) = 0 OR list_contains($types, type))
  AND (len($agents) = 0 OR list_contains($agents, agent_id))
GROUP BY type, detail, severity, agent_id, action, path
ORDER BY list_position(['critical', 'warning', 'info'], severity), last_at DESC, type, detail, agent_id, action, path
LIMIT $limit
