-- How many agents acted in a period, and how many in the one before it?
SELECT
  count(DISTINCT coalesce(agent_id, '')) FILTER (occurred_minute >= $from_at) AS agents,
  count(DISTINCT coalesce(agent_id, '')) FILTER (occurred_minute < $from_at) AS agents_before
FROM rollup_detail
WHERE occurred_minute >= $before_at AND occurred_minute < $until_at
