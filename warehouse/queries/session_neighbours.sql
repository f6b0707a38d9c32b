-- What else happened in this session, right before and right after?
WITH session AS (
  SELECT decision_id, occurred_at, action, resource, shown_verdict, mode, effect, coalesce(rule_id, judged_rule_id) AS rule_id, finding_types
  FROM decisions
  WHERE session_id = $session_id
    AND occurred_at >= CAST($at AS TIMESTAMPTZ) - INTERVAL 1 DAY AND occurred_at <= CAST($at AS TIMESTAMPTZ) + INTERVAL 1 DAY
), nearby AS (
  (SELECT * FROM session WHERE occurred_at <= $at ORDER BY occurred_at DESC LIMIT $each_side + 1)
  UNION ALL
  (SELECT * FROM session WHERE occurred_at > $at ORDER BY occurred_at LIMIT $each_side)
)
SELECT * FROM nearby ORDER BY occurred_at, decision_id
