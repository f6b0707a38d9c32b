-- How many agents acted in each bucket of time? Buckets of whole hours are answered from the hours, shorter ones from the minutes.
SELECT
  (epoch_us(occurred_minute) - $origin_us) // $bucket_us AS bucket,
  count(DISTINCT coalesce(agent_id, '')) AS agents
FROM (
  SELECT occurred_minute, agent_id FROM rollup_between($from_at, $until_at) WHERE $bucket_us % 3600000000 = 0
  UNION ALL
  SELECT occurred_minute, agent_id FROM rollup_detail
  WHERE $bucket_us % 3600000000 <> 0 AND occurred_minute >= $from_at AND occurred_minute < $until_at
)
GROUP BY ALL
