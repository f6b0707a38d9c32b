-- Has this project any decision at all, and from when to when?
SELECT
  CAST(coalesce(sum(decisions), 0) AS BIGINT) AS decisions,
  min(occurred_minute) AS first_at,
  max(occurred_minute) AS last_at
FROM rollup_minute
