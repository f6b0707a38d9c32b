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
