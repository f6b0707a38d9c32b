-- When did the first and the last decision of this project happen, to the minute?
SELECT min(occurred_minute) AS first_at, max(occurred_minute) AS last_at
FROM rollup_minute
