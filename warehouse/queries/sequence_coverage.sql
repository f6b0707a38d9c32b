-- What have these producers accounted for: ranges of their numbers, what comes next, and when the newest message was made?
WITH asked AS (
  SELECT unnest($projects) AS project_id, unnest($producers) AS producer_id
),
mine AS (
  SELECT project_id, producer_id, first_seq, first_seq + count AS next_seq, count, total, closed, log_offset,
    epoch_us(coalesce(occurred_max_at, received_at)) AS made_at
  FROM tallies SEMI JOIN asked USING (project_id, producer_id)
),
reached AS (
  SELECT *, max(next_seq) OVER (
    PARTITION BY project_id, producer_id ORDER BY first_seq, next_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS before_seq
  FROM mine WHERE count > 0
),
islands AS (
  SELECT *, count(*) FILTER (WHERE before_seq IS NULL OR first_seq > before_seq) OVER (
    PARTITION BY project_id, producer_id ORDER BY first_seq, next_seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS island
  FROM reached
),
ranges AS (
  SELECT project_id, producer_id, min(first_seq) AS first_seq, max(next_seq) AS next_seq
  FROM islands GROUP BY project_id, producer_id, island
),
covered AS (
  SELECT project_id, producer_id, list([first_seq, next_seq] ORDER BY first_seq) AS ranges FROM ranges GROUP BY ALL
),
ends AS (
  SELECT project_id, producer_id,
    greatest(max(next_seq) FILTER (WHERE count > 0), max(total) FILTER (WHERE closed), 0) AS expected,
    arg_max(made_at, [next_seq, -log_offset]) FILTER (WHERE count > 0) AS last_at
  FROM mine GROUP BY ALL
)
SELECT project_id, producer_id, coalesce(ranges, []) AS ranges, expected, last_at
FROM ends LEFT JOIN covered USING (project_id, producer_id)
