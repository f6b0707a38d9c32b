-- The same from the decisions themselves, where a filter asks for what no rollup knows?
WITH scoped AS (
  SELECT
    CASE
      WHEN effect = 'deny' THEN 'deny'
      WHEN shown_verdict IS NULL THEN 'unevaluated'
      WHEN shown_verdict <> 'deny' THEN shown_verdict
      WHEN mode = 'log-only' THEN 'deny_logged'
      ELSE 'deny_unenforced'
    END AS standing,
    mode,
    coalesce(agent_id, '') AS agent,
    action,
    coalesce(resource_label(resource), '') AS resource,
    coalesce(CASE WHEN len($bundles) = 0 THEN rule_id END, judged_rule_id, '') AS rule,
    1 AS decisions
  FROM decisions
  WHERE occurred_at >= $from_at AND occurred_at < $until_at
    AND (len($finding) = 0 OR list_has_any(list_concat(finding_types, drift_kinds), $finding))
    AND (len($session) = 0 OR list_contains($session, session_id))
    AND (len($bundles) = 0 OR list_contains($bundles, judged_bundle_digest))
    AND ($change <> 'denied' OR judged_verdict = 'deny')
    AND ($candidate = '' OR CASE $change
      WHEN 'newly_denied' THEN judged_verdict NOT IN ('deny', 'not_replayable') AND ((candidates -> $candidate) ->> 'verdict') = 'deny'
      ELSE judged_verdict = 'deny' AND ((candidates -> $candidate) ->> 'verdict') NOT IN ('deny', 'not_replayable')
    END)
    AND (
      $q = ''
      OR contains(lower(action), lower($q)) OR contains(lower(resource), lower($q)) OR contains(lower(agent_id), lower($q))
      OR contains(lower(user_id), lower($q)) OR contains(lower(session_id), lower($q)) OR contains(lower(reason), lower($q))
      OR contains(lower(tool), lower($q)) OR contains(lower(method), lower($q)) OR contains(lower(args), lower($q))
      OR contains(lower(text), lower($q)) OR contains(lower(tags), lower($q))
    )
), counted AS MATERIALIZED (
  SELECT
    standing, mode, agent, action, resource, rule,
    len($standing) = 0 OR list_contains($standing, standing) AS in_standing,
    len($mode) = 0 OR list_contains($mode, mode) AS in_mode,
    len($agent) = 0 OR list_contains($agent, agent) AS in_agent,
    len($action) = 0 OR list_contains($action, action) AS in_action,
    len($resource) = 0 OR list_contains($resource, resource) AS in_resource,
    len($rule) = 0 OR list_contains($rule, rule) AS in_rule,
    CAST(sum(decisions) AS BIGINT) AS decisions
  FROM scoped
  GROUP BY standing, mode, agent, action, resource, rule
), facets AS (
  SELECT 'all' AS facet, '' AS value, coalesce(sum(decisions), 0) AS decisions FROM counted
  WHERE in_standing AND in_mode AND in_agent AND in_action AND in_resource AND in_rule
  UNION ALL
  SELECT 'standing', standing, sum(decisions) FROM counted WHERE in_mode AND in_agent AND in_action AND in_resource AND in_rule GROUP BY standing
  UNION ALL
  SELECT 'mode', mode, sum(decisions) FROM counted WHERE in_standing AND in_agent AND in_action AND in_resource AND in_rule GROUP BY mode
  UNION ALL
  SELECT 'agent', agent, sum(decisions) FROM counted WHERE in_standing AND in_mode AND in_action AND in_resource AND in_rule GROUP BY agent
  UNION ALL
  SELECT 'action', action, sum(decisions) FROM counted WHERE in_standing AND in_mode AND in_agent AND in_resource AND in_rule GROUP BY action
  UNION ALL
  SELECT 'resource', resource, sum(decisions) FROM counted WHERE in_standing AND in_mode AND in_agent AND in_action AND in_rule GROUP BY resource
  UNION ALL
  SELECT 'rule', rule, sum(decisions) FROM counted WHERE in_standing AND in_mode AND in_agent AND in_action AND in_resource GROUP BY rule
)
SELECT facet, value, CAST(decisions AS BIGINT) AS decisions
FROM facets
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY decisions DESC, value) <= $limit
ORDER BY facet, decisions DESC, value
