-- What would this candidate decide otherwise than the policy of these bundles, and for whom? The largest groups of each change, and its sum.
WITH counted AS (
  SELECT
    candidates, judged_verdict, coalesce(agent_id, '') AS agent, action, coalesce(resource_label, '') AS resource,
    coalesce(judged_rule_id, '') AS rule, sum(decisions) AS decisions, max(occurred_minute) AS last_at
  FROM rollup_between($from_at, $until_at)
  WHERE candidates IS NOT NULL AND list_contains($digests, judged_bundle_digest)
  GROUP BY ALL
), judged AS (
  SELECT
    CASE
      WHEN ((candidates -> $candidate) ->> 'verdict') = 'not_replayable' OR judged_verdict = 'not_replayable' THEN 'not_replayable'
      WHEN ((candidates -> $candidate) ->> 'verdict') = 'deny' AND judged_verdict <> 'deny' THEN 'newly_denied'
      WHEN ((candidates -> $candidate) ->> 'verdict') <> 'deny' AND judged_verdict = 'deny' THEN 'newly_allowed'
      ELSE 'same'
    END AS change,
    ((candidates -> $candidate) ->> 'verdict') AS candidate_verdict,
    coalesce(((candidates -> $candidate) ->> 'rule_id'), '') AS candidate_rule,
    *
  FROM counted
  WHERE ((candidates -> $candidate) ->> 'verdict') IS NOT NULL
), grouped AS (
  SELECT
    change,
    CASE WHEN change = 'same' THEN NULL ELSE agent END AS agent,
    CASE WHEN change = 'same' THEN NULL ELSE action END AS action,
    CASE WHEN change = 'same' THEN NULL ELSE resource END AS resource,
    CASE WHEN change = 'same' THEN NULL ELSE rule END AS rule,
    CASE WHEN change = 'same' THEN NULL ELSE candidate_rule END AS candidate_rule,
    CAST(sum(decisions) AS BIGINT) AS decisions,
    max(last_at) AS last_at
  FROM judged
  GROUP BY ALL
)
SELECT *, CAST(sum(decisions) OVER (PARTITION BY change) AS BIGINT) AS of_change
FROM grouped
QUALIFY row_number() OVER (PARTITION BY change ORDER BY decisions DESC, agent, action, resource, rule, candidate_rule) <= $limit
ORDER BY decisions DESC, change, agent, action, resource
