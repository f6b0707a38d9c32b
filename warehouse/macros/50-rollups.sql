-- What do rollups of the same minute and keys add up to, and which detail do the merged decisions add?
CREATE MACRO merged_rollup(files) AS TABLE
SELECT * EXCLUDE (decisions, with_findings), sum(decisions)::BIGINT AS decisions, sum(with_findings)::BIGINT AS with_findings
FROM rows_of(files)
GROUP BY ALL
ORDER BY grain, project_id, occurred_minute;
CREATE MACRO added_detail(files) AS TABLE
SELECT * FROM detail_and_hours_of(files) ORDER BY grain, project_id, occurred_minute;
