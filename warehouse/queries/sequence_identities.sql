-- Which records landed under these ranges of numbers?
WITH asked AS (
  SELECT unnest($projects) AS project_id, unnest($producers) AS producer_id, unnest($firsts) AS first, unnest($nexts) AS next
)
SELECT DISTINCT project_id, producer_id, seq, 'decision' AS kind, id_text(decision_id) AS decision_id
FROM asked JOIN decisions USING (project_id, producer_id)
WHERE seq >= first AND seq < next
UNION ALL
SELECT DISTINCT project_id, producer_id, seq, 'outcome' AS kind, id_text(decision_id) AS decision_id
FROM asked JOIN outcomes USING (project_id, producer_id)
WHERE seq >= first AND seq < next
