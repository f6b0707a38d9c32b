-- How many decisions of each project does the ledger hold, and how many do its tallies say it landed since?
WITH held AS (
  SELECT project_id, count(*) AS decisions, min(received_at) AS since_at FROM decisions GROUP BY project_id
), told AS (
  SELECT tallies.project_id, sum(tallies.decisions) AS decisions
  FROM tallies LEFT JOIN held USING (project_id)
  WHERE held.since_at IS NULL OR tallies.received_at >= held.since_at
  GROUP BY tallies.project_id
)
SELECT project_id, coalesce(held.decisions, 0)::BIGINT AS held, coalesce(told.decisions, 0)::BIGINT AS told
FROM told FULL JOIN held USING (project_id)
ORDER BY project_id
