-- How many calls does the policy of these bundles deny in each bucket of time, by how they stood? Whole hours are answered from the hours.
SELECT
  (epoch_us(occurred_minute) - $origin_us) // $bucket_us AS bucket,
  judged_verdict AS verdict,
  mode,
  effect,
  CAST(sum(decisions) AS BIGINT) AS decisions
FROM (
  SELECT occurred_minute, judged_verdict, judged_bundle_digest, mode, effect, decisions FROM rollup_between($from_at, $until_at)
  WHERE $bucket_us % 3600000000 = 0
  UNION ALL
  SELECT occurred_minute, judged_verdict, judged_bundle_digest, mode, effect, decisions FROM rollup_detail
  WHERE $bucket_us % 3600000000 <> 0 AND occurred_minute >= $from_at AND occurred_minute < $until_at
)
WHERE judged_verdict = 'deny' AND list_contains($digests, judged_bundle_digest)
GROUP BY ALL
