-- What was found in this period, by type, and how grave was it (the gravest first)?
SELECT
  type,
  detail,
  list_filter(['critical', 'warning', 'info'], lambda each: list_contains(severities, each)) AS severities,
  findings,
  agents,
  last_at
FROM (
  SELECT
    type,
    detail,
    list(DISTINCT severity) AS severities,
    count(*) AS findings,
    count(DISTINCT agent_id) AS agents,
    max(occurred_at) AS last_at
  FROM findings
  WHERE occurred_at >= $from_at AND occurred_at < $until_at
  GROUP BY type, detail
)
ORDER BY findings DESC, type, detail
