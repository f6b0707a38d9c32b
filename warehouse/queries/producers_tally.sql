-- Do the counts of each producer balance, and which of its numbers are missing?
WITH ranges AS (
  SELECT
    *,
    max(first_seq + "count") OVER (
      PARTITION BY project_id, producer_id ORDER BY first_seq, "count"
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS covered_to
  FROM tallies
)
SELECT
  project_id,
  producer_id,
  sum(received)::BIGINT AS received,
  sum(landed)::BIGINT AS landed,
  sum(duplicate)::BIGINT AS duplicate,
  sum(quarantined)::BIGINT AS quarantined,
  sum(decisions)::BIGINT AS decisions,
  sum(lost)::BIGINT AS lost,
  bool_and(received = landed + duplicate + quarantined) AS balanced,
  count(*) FILTER (WHERE first_seq > coalesce(covered_to, 0))::BIGINT AS gaps,
  sum(greatest(first_seq - coalesce(covered_to, 0), 0))::BIGINT AS missing,
  -- An orderly end names the total: what is not there by then is missing as well.
  greatest(max(total) FILTER (WHERE closed) - max(first_seq + "count"), 0)::BIGINT AS missing_at_end,
  bool_or(closed) AS closed,
  min(received_at) AS first_received_at,
  max(received_at) AS last_received_at
FROM ranges
GROUP BY project_id, producer_id
ORDER BY project_id, last_received_at DESC, producer_id
