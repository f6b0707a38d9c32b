-- What must a person see of what was received live in this period, by the rule of its alert and by agent, and which finding is the newest?
SELECT
  type AS rule,
  project_id,
  agent_id,
  array_agg(DISTINCT detail ORDER BY detail) AS details,
  sum(count)::BIGINT AS decisions,
  epoch_us(max(received_at)) AS last_at,
  id_text(arg_max(finding_id, (received_at, finding_id))) AS finding_id
FROM findings
WHERE type IN ('enforcement_gap', 'drift')
  AND (severity = 'critical' OR detail = 'bundle_expired')
  AND NOT backfill
  AND received_at >= make_timestamptz($since) AND received_at < make_timestamptz($until)
GROUP BY ALL
ORDER BY rule, project_id, agent_id
