-- How many decisions stood how in a period, and how many in the one before it?
SELECT
  occurred_minute >= $from_at AS inside,
  verdict,
  mode,
  effect,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  CAST(sum(with_findings) AS BIGINT) AS with_findings
FROM rollup_minute
WHERE occurred_minute >= $before_at AND occurred_minute < $until_at
GROUP BY ALL
