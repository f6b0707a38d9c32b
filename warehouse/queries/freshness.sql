-- When did the newest record arrive, histories apart, and when did its decisions happen?
SELECT
  max(received_at) AS received_at,
  max(occurred_max_at) AS occurred_at
FROM tallies
WHERE NOT backfill
