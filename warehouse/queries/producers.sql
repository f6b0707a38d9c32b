-- How do each producer's counts add up, and which of its numbers never arrived?
WITH ordered AS (
  SELECT
    *,
    max(first_seq + count) OVER (PARTITION BY producer_id ORDER BY first_seq, log_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS seen_to
  FROM tallies
  WHERE received_at < $until_at
)
SELECT
  producer_id,
  CAST(sum(received) AS BIGINT) AS received,
  CAST(sum(landed) AS BIGINT) AS landed,
  CAST(sum(duplicate) AS BIGINT) AS duplicate,
  CAST(sum(quarantined) AS BIGINT) AS quarantined,
  CAST(sum(decisions) AS BIGINT) AS decisions,
  CAST(sum(outcomes) AS BIGINT) AS outcomes,
  CAST(sum(lost) AS BIGINT) AS lost,
  CAST(sum(greatest(first_seq - coalesce(seen_to, 0), 0)) AS BIGINT) AS missing,
  max(total) AS total,
  max(first_seq + count) AS last_seq,
  bool_or(closed) AS closed,
  bool_and(backfill) AS backfill,
  min(received_at) AS first_at,
  coalesce(min(occurred_min_at), min(received_at)) AS started_at,
  max(received_at) AS last_at
FROM ordered
GROUP BY producer_id
HAVING max(received_at) >= $from_at
ORDER BY last_at DESC, producer_id
LIMIT $limit
