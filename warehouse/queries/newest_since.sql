-- From when on are there so many decisions that match these filters, back from the end? (To the hour, and to the minute at both ends.)
WITH matching AS (
  SELECT occurred_minute AS began_at, sum(decisions) AS decisions
  FROM rollup_between($from_at, $until_at)
  WHERE (
      len($standing) = 0
      OR (list_contains($standing, 'deny') AND effect = 'deny')
      OR (list_contains($standing, 'deny_logged') AND effect <> 'deny' AND verdict = 'deny' AND mode = 'log-only')
      OR (list_contains($standing, 'deny_unenforced') AND effect <> 'deny' AND verdict = 'deny' AND mode <> 'log-only')
      OR (list_contains($standing, 'allow') AND effect <> 'deny' AND verdict = 'allow')
      OR (list_contains($standing, 'warn') AND effect <> 'deny' AND verdict = 'warn')
      OR (list_contains($standing, 'audit') AND effect <> 'deny' AND verdict = 'audit')
      OR (list_contains($standing, 'not_replayable') AND effect <> 'deny' AND verdict = 'not_replayable')
      OR (list_contains($standing, 'unevaluated') AND effect <> 'deny' AND verdict IS NULL)
    )
    AND (len($mode) = 0 OR list_contains($mode, mode))
    AND (len($agent) = 0 OR list_contains($agent, coalesce(agent_id, '')))
    AND (len($action) = 0 OR list_contains($action, action))
    AND (len($resource) = 0 OR list_contains($resource, coalesce(resource_label, '')))
    AND (len($rule) = 0 OR list_contains($rule, coalesce(CASE WHEN len($bundles) = 0 THEN rule_id END, judged_rule_id, '')))
    AND (len($finding) = 0 OR list_has_any(string_split(found, ' '), $finding))
    AND (len($bundles) = 0 OR list_contains($bundles, judged_bundle_digest))
    AND ($change <> 'denied' OR judged_verdict = 'deny')
    AND ($candidate = '' OR CASE $change
      WHEN 'newly_denied' THEN judged_verdict NOT IN ('deny', 'not_replayable') AND ((candidates -> $candidate) ->> 'verdict') = 'deny'
      ELSE judged_verdict = 'deny' AND ((candidates -> $candidate) ->> 'verdict') NOT IN ('deny', 'not_replayable')
    END)
  GROUP BY occurred_minute
), counted AS (
  SELECT began_at, sum(decisions) OVER (ORDER BY began_at DESC) AS decisions
  FROM matching
)
SELECT coalesce(max(began_at) FILTER (decisions >= $enough), min(began_at)) AS since_at
FROM counted
