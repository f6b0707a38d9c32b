-- Which tallied messages of these producers touch these ranges of numbers?
WITH asked AS (
  SELECT unnest($projects) AS project_id, unnest($producers) AS producer_id, unnest($firsts) AS first, unnest($nexts) AS next
)
SELECT DISTINCT project_id, producer_id, greatest(first_seq, first) AS first_seq, least(first_seq + count, next) AS next_seq
FROM asked JOIN tallies USING (project_id, producer_id)
WHERE first_seq < next AND first_seq + count > first
