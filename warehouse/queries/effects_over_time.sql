-- How many decisions stood how, in each bucket of time?
SELECT
  (epoch_us(occurred_minute) - $origin_us) // $bucket_us AS bucket,
  verdict,
  mode,
  effect,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  CAST(sum(with_findings) AS BIGINT) AS with_findings
FROM rollup_minute
WHERE occurred_minute >= $from_at AND occurred_minute < $until_at
GROUP BY ALL
