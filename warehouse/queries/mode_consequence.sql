-- What did the policy of these bundles say in this period, what came of its denials, and how many decisions did others judge, or none?
SELECT
  CAST(coalesce(sum(decisions), 0) AS BIGINT) AS decisions,
  CAST(coalesce(sum(decisions) FILTER (mine), 0) AS BIGINT) AS judged,
  CAST(coalesce(sum(decisions) FILTER (NOT mine AND judged_bundle_digest IS NOT NULL), 0) AS BIGINT) AS judged_by_others,
  CAST(coalesce(sum(decisions) FILTER (mine AND judged_verdict = 'not_replayable'), 0) AS BIGINT) AS not_replayable,
  CAST(coalesce(sum(decisions) FILTER (denies AND effect <> 'deny'), 0) AS BIGINT) AS let_through,
  count(DISTINCT coalesce(agent_id, '')) FILTER (denies AND effect <> 'deny') AS agents_let_through,
  CAST(coalesce(sum(decisions) FILTER (denies AND effect = 'deny'), 0) AS BIGINT) AS denied,
  count(DISTINCT coalesce(agent_id, '')) FILTER (denies AND effect = 'deny') AS agents_denied
FROM (
  SELECT *, mine AND judged_verdict = 'deny' AS denies
  FROM (
    SELECT *, coalesce(list_contains($digests, judged_bundle_digest), false) AS mine
    FROM rollup_between($from_at, $until_at)
  )
)
