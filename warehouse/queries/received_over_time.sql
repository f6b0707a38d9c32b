-- How much arrived in each bucket of time, and what became of it?
SELECT
  (epoch_us(received_at) - $origin_us) // $bucket_us AS bucket,
  CAST(sum(landed) AS BIGINT) AS landed,
  CAST(sum(duplicate) AS BIGINT) AS duplicate,
  CAST(sum(quarantined) AS BIGINT) AS quarantined
FROM tallies
WHERE received_at >= $from_at AND received_at < $until_at
GROUP BY ALL
