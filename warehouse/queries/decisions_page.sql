-- Which decisions match these filters, newest first, from a place on?
SELECT
  decision_id,
  occurred_at,
  agent_id,
  user_id,
  session_id,
  action,
  resource,
  shown_verdict,
  mode,
  effect,
  coalesce(rule_id, judged_rule_id) AS rule_id,
  reason,
  reason_code,
  finding_types,
  drift_kinds
FROM decisions
WHERE occurred_at >= $from_at AND occurred_at < $until_at
  -- Spelled out and not a CASE: a filter that names no denial then lets whole row groups be passed over.
  AND (
    len($standing) = 0
    OR (list_contains($standing, 'deny') AND effect = 'deny')
    OR (list_contains($standing, 'deny_logged') AND effect <> 'deny' AND shown_verdict = 'deny' AND mode = 'log-only')
    OR (list_contains($standing, 'deny_unenforced') AND effect <> 'deny' AND shown_verdict = 'deny' AND mode <> 'log-only')
    OR (list_contains($standing, 'allow') AND effect <> 'deny' AND shown_verdict = 'allow')
    OR (list_contains($standing, 'warn') AND effect <> 'deny' AND shown_verdict = 'warn')
    OR (list_contains($standing, 'audit') AND effect <> 'deny' AND shown_verdict = 'audit')
    OR (list_contains($standing, 'not_replayable') AND effect <> 'deny' AND shown_verdict = 'not_replayable')
    OR (list_contains($standing, 'unevaluated') AND effect <> 'deny' AND shown_verdict IS NULL)
  )
  AND (len($mode) = 0 OR list_contains($mode, mode))
  AND (len($agent) = 0 OR list_contains($agent, coalesce(agent_id, '')))
  AND (len($action) = 0 OR list_contains($action, action))
  AND (len($resource) = 0 OR list_contains($resource, coalesce(resource_label(resource), '')))
  AND (len($rule) = 0 OR list_contains($rule, coalesce(CASE WHEN len($bundles) = 0 THEN rule_id END, judged_rule_id, '')))
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
  AND ($older_than_at IS NULL OR (occurred_at, decision_id) < ($older_than_at, $older_than_id))
ORDER BY occurred_at DESC, decision_id DESC
LIMIT $limit
