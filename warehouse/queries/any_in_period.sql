-- Did any decision happen in this period?
SELECT count(*) > 0 AS any_decision
FROM rollup_minute
WHERE occurred_minute >= $from_at AND occurred_minute < $until_at
