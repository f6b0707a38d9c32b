-- How many live decisions were received in each minute of each project, and how many of them were denied, by agent or workers?
SELECT
  project_id,
  epoch_us(received_minute) AS minute,
  sum(decisions)::BIGINT AS decisions,
  coalesce(sum(decisions) FILTER (verdict = 'deny' OR judged_verdict = 'deny' OR effect = 'deny'), 0)::BIGINT AS denials
FROM rollup_minute
WHERE NOT backfill
  AND received_minute >= make_timestamptz($since) AND received_minute < make_timestamptz($until)
GROUP BY ALL
ORDER BY minute, project_id
