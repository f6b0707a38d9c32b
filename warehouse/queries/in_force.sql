-- Under which policy bundle and mode did agents act, and when?
SELECT
  judged_bundle_digest AS bundle_digest,
  mode,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  count(DISTINCT coalesce(agent_id, '')) AS agents,
  min(occurred_minute) AS first_at,
  max(occurred_minute) AS last_at
FROM rollup_between($from_at, $until_at)
GROUP BY ALL
ORDER BY last_at DESC, decisions DESC
