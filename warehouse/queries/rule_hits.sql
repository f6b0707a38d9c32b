-- How often did each rule of these bundles decide, and for how many agents?
SELECT
  judged_rule AS rule,
  judged_verdict AS verdict,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  count(DISTINCT coalesce(agent_id, '')) AS agents,
  max(occurred_minute) AS last_at
FROM rollup_between($from_at, $until_at)
WHERE list_contains($digests, judged_bundle_digest)
GROUP BY ALL
