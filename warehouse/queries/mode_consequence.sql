-- What would another mode have changed in this period: who was let through, and who was denied?
SELECT
  CAST(coalesce(sum(decisions), 0) AS BIGINT) AS decisions,
  CAST(coalesce(sum(decisions) FILTER (verdict = 'deny' AND effect <> 'deny'), 0) AS BIGINT) AS let_through,
  count(DISTINCT coalesce(agent_id, '')) FILTER (verdict = 'deny' AND effect <> 'deny') AS agents_let_through,
  CAST(coalesce(sum(decisions) FILTER (verdict = 'deny' AND effect <> 'deny' AND NOT list_contains($digests, judged_bundle_digest)), 0) AS BIGINT) AS let_through_before,
  CAST(coalesce(sum(decisions) FILTER (effect = 'deny'), 0) AS BIGINT) AS denied,
  count(DISTINCT coalesce(agent_id, '')) FILTER (effect = 'deny') AS agents_denied
FROM rollup_between($from_at, $until_at)
