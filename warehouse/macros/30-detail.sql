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
  candidates
FROM rows_of(files)
GROUP BY ALL;
