-- What does compaction count of the decisions it merges, and what stands for it until then?
CREATE MACRO detail_of(files) AS TABLE
SELECT
  'detail' AS grain,
  project_id,
  to_minute(received_at) AS received_at,
  to_minute(occurred_at) AS occurred_minute,
  to_minute(received_at) AS received_minute,
  coalesce(verdict, judged_verdict) AS verdict,
  judged_verdict,
  mode,
  effect,
  backfill,
  count(*)::BIGINT AS decisions,
  count(*) FILTER (WHERE len(finding_types) > 0 OR len(drift_kinds) > 0)::BIGINT AS with_findings,
  agent_id,
  action,
  resource_label(resource) AS resource_label,
  policy_id,
  rule_id,
  judged_rule_id,
  judged_rule,
  judged_bundle_digest,
  candidates,
  nullif(array_to_string(list_sort(list_concat(finding_types, drift_kinds)), ' '), '') AS found
FROM rows_of(files)
GROUP BY ALL;
-- The same by the minute and by the hour: what questions about days are answered from, with some thirty times fewer rows.
CREATE MACRO detail_and_hours_of(files) AS TABLE
WITH detail AS MATERIALIZED (SELECT * FROM detail_of(files))
SELECT * FROM detail
UNION ALL BY NAME
SELECT
  * EXCLUDE (decisions, with_findings)
    REPLACE ('hour' AS grain, to_hour(received_at) AS received_at, to_hour(occurred_minute) AS occurred_minute, to_hour(received_minute) AS received_minute),
  sum(decisions)::BIGINT AS decisions,
  sum(with_findings)::BIGINT AS with_findings
FROM detail
GROUP BY ALL;
