-- What was found in each bucket of time, by type?
SELECT
  (epoch_us(occurred_at) - $origin_us) // $bucket_us AS bucket,
  type,
  count(*) AS findings
FROM findings
WHERE occurred_at >= $from_at AND occurred_at < $until_at
GROUP BY ALL
