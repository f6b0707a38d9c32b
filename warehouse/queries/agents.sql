-- Who acted in this period, and how did it stand?
SELECT
  agent_id,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  CAST(coalesce(sum(decisions) FILTER (effect = 'deny'), 0) AS BIGINT) AS denied,
  CAST(coalesce(sum(decisions) FILTER (verdict = 'deny' AND effect <> 'deny'), 0) AS BIGINT) AS let_through,
  CAST(coalesce(sum(decisions) FILTER (verdict IN ('warn', 'audit')), 0) AS BIGINT) AS noted,
  CAST(coalesce(sum(decisions) FILTER (verdict IS NULL), 0) AS BIGINT) AS unevaluated,
  count(DISTINCT action) AS actions,
  min(occurred_minute) AS first_at,
  max(occurred_minute) AS last_at
FROM rollup_between($from_at, $until_at)
GROUP BY ALL
ORDER BY decisions DESC, agent_id
LIMIT $limit
