-- What did the policy of these bundles say in this period, what came of its denials, and how many decisions did others judge, or none?
-- Denials by rules that only log, at $log_only_rules from 1, are apart: they go on under enforce.
SELECT
  CAST(coalesce(sum(decisions), 0) AS BIGINT) AS decisions,
  CAST(coalesce(sum(decisions) FILTER (mine), 0) AS BIGINT) AS judged,
  CAST(coalesce(sum(decisions) FILTER (NOT mine AND judged_bundle_digest IS NOT NULL), 0) AS BIGINT) AS judged_by_others,
  CAST(coalesce(sum(decisions) FILTER (mine AND judged_verdict = 'not_replayable'), 0) AS BIGINT) AS not_replayable,
  CAST(coalesce(sum(decisions) FILTER (denies AND effect <> 'deny'), 0) AS BIGINT) AS let_through,
  count(DISTINCT coalesce(agent_id, '')) FILTER (denies AND effect <> 'deny') AS agents_let_through,
  CAST(coalesce(sum(decisions) FILTER (denies AND effect = 'deny'), 0) AS BIGINT) AS denied,
  count(DISTINCT coalesce(agent_id, '')) FILTER (denies AND effect = 'deny') AS agents_denied,
  CAST(coalesce(sum(decisions) FILTER (mine AND judged_verdict = 'deny' AND only_logs), 0) AS BIGINT) AS only_logged
FROM (
  SELECT *, mine AND judged_verdict = 'deny' AND NOT only_logs AS denies
  FROM (
    SELECT *, coalesce(list_contains($digests, judged_bundle_digest), false) AS mine,
      coalesce(list_contains($log_only_rules, judged_rule), false) AS only_logs
    FROM rollup_between($from_at, $until_at)
  )
)
