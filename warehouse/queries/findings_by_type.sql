-- What was found in this period, by type?
SELECT
  type,
  detail,
  severity,
  count(*) AS findings,
  count(DISTINCT agent_id) AS agents,
  max(occurred_at) AS last_at
FROM findings
WHERE occurred_at >= $from_at AND occurred_at < $until_at
GROUP BY ALL
ORDER BY findings DESC, type, detail
