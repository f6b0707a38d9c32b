-- How many decisions were there by minute, and by agent, action, resource and rule?
CREATE VIEW rollup_minute AS
SELECT
  project_id, occurred_minute, received_minute, verdict, judged_verdict, mode, effect, backfill,
  sum(decisions)::BIGINT AS decisions, sum(with_findings)::BIGINT AS with_findings
FROM rows_of(getvariable('rollup_files'))
WHERE grain = 'minute'
GROUP BY ALL;
CREATE VIEW rollup_detail AS
SELECT * FROM rows_of(getvariable('rollup_files')) WHERE grain = 'detail'
UNION ALL BY NAME
SELECT * FROM detail_of(getvariable('decision_landed_files'));
CREATE VIEW rollup_hour AS
SELECT * FROM rows_of(getvariable('rollup_files')) WHERE grain = 'hour'
UNION ALL BY NAME
SELECT * FROM hours_of(getvariable('decision_landed_files'));
-- The same detail for a stretch of time, to the minute: whole hours from the hours, what is left at both ends from the minutes.
CREATE MACRO rollup_between(from_at, until_at) AS TABLE
SELECT * FROM rollup_hour
WHERE occurred_minute >= least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at)
  AND occurred_minute < to_hour(until_at)
UNION ALL BY NAME
SELECT * FROM rollup_detail
WHERE occurred_minute >= from_at AND occurred_minute < least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at)
UNION ALL BY NAME
SELECT * FROM rollup_detail
WHERE occurred_minute >= greatest(to_hour(until_at), least(to_hour(from_at + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), until_at))
  AND occurred_minute < until_at;
