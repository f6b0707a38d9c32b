-- Of which agents did actions go ahead that were to be denied, among what was received live in this period, and which finding is the newest?
SELECT
  project_id,
  agent_id,
  count(*) AS gaps,
  epoch_us(max(received_at)) AS last_at,
  id_text(arg_max(finding_id, (received_at, finding_id))) AS finding_id
FROM findings
WHERE type = 'enforcement_gap'
  AND NOT backfill
  AND received_at >= make_timestamptz($since) AND received_at < make_timestamptz($until)
GROUP BY ALL
ORDER BY project_id, agent_id
