-- How many agents acted in a period, and how many in the one before it?
SELECT
  (SELECT count(DISTINCT coalesce(agent_id, '')) FROM rollup_between($from_at, $until_at)) AS agents,
  (SELECT count(DISTINCT coalesce(agent_id, '')) FROM rollup_between($before_at, $from_at)) AS agents_before
