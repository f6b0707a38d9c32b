-- How many agents acted in each bucket of time?
SELECT
  (epoch_us(occurred_minute) - $origin_us) // $bucket_us AS bucket,
  count(DISTINCT coalesce(agent_id, '')) AS agents
FROM rollup_detail
WHERE occurred_minute >= $from_at AND occurred_minute < $until_at
GROUP BY ALL
