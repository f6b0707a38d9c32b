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
FROM decisions_matching(
  $from_at, $until_at, $finding, $session, $bundles, $change, $candidate, $q,
  standings := $standing, modes := $mode, agents := $agent, actions := $action, resources := $resource, rules := $rule
)
WHERE ($older_than_at IS NULL OR (occurred_at, decision_id) < ($older_than_at, $older_than_id))
ORDER BY occurred_at DESC, decision_id DESC
LIMIT $limit
