-- All that is kept of the decisions that match these filters, as a file takes it, newest first?
SELECT
  decision_id,
  occurred_at,
  received_at,
  environment,
  agent_id,
  user_id,
  user_group,
  session_id,
  trace_id,
  action,
  resource,
  shown_verdict AS verdict,
  mode,
  effect,
  reason_code,
  coalesce(policy_id, judged_policy_id) AS policy_id,
  coalesce(rule_id, judged_rule_id) AS rule_id,
  reason,
  judged_verdict,
  judged_rule_id,
  bundle_digest,
  judged_bundle_digest,
  finding_types,
  drift_kinds,
  tags,
  args,
  producer_id,
  seq
FROM decisions_matching(
  $from_at, $until_at, $finding, $session, $bundles, $change, $candidate, $q,
  standings := $standing, modes := $mode, agents := $agent, actions := $action, resources := $resource, rules := $rule
)
ORDER BY occurred_at DESC, decision_id DESC
LIMIT $limit
