-- How many decisions were there by minute, and by agent, action, resource and rule? Counts are to be summed: a minute has rows of many landings.
CREATE VIEW rollup_minute AS
SELECT project_id, occurred_minute, received_minute, verdict, judged_verdict, mode, effect, backfill, decisions, with_findings
FROM rows_of(getvariable('rollup_files'))
WHERE grain = 'minute';
CREATE VIEW rollup_detail AS
SELECT * FROM rows_of(getvariable('rollup_detail_files')) WHERE grain = 'detail'
UNION ALL BY NAME
SELECT * FROM detail_of(getvariable('decision_landed_files'));
CREATE VIEW rollup_hour AS
SELECT * FROM rows_of(getvariable('rollup_detail_files')) WHERE grain = 'hour'
UNION ALL BY NAME
SELECT * FROM detail_and_hours_of(getvariable('decision_landed_files')) WHERE grain = 'hour';
-- The same detail for a stretch of time, to the minute: whole hours from the hours, what is left at both ends from the minutes,
-- and what is not merged yet from the decisions.
CREATE MACRO rollup_between(from_at, until_at) AS TABLE
SELECT * FROM rows_of(getvariable('rollup_detail_files'))
WHERE grain = 'hour'
  AND occurred_minute >= least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at)
  AND occurred_minute < to_hour(until_at)
UNION ALL BY NAME
SELECT * FROM rows_of(getvariable('rollup_detail_files'))
WHERE grain = 'detail'
  AND occurred_minute >= from_at AND occurred_minute < least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at)
UNION ALL BY NAME
SELECT * FROM rows_of(getvariable('rollup_detail_files'))
WHERE grain = 'detail'
  AND occurred_minute >= greatest(to_hour(until_at), least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at))
  AND occurred_minute < until_at
UNION ALL BY NAME
SELECT * FROM detail_of(getvariable('decision_landed_files'))
WHERE occurred_minute >= from_at AND occurred_minute < until_at;
