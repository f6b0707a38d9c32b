-- What does the policy of these bundles deny: by rule, agent, action and resource, whether it went ahead or not?
WITH denied AS (
  SELECT coalesce(judged_rule_id, '') AS rule, coalesce(agent_id, '') AS agent, action, coalesce(resource_label, '') AS resource, sum(decisions) AS decisions
  FROM rollup_between($from_at, $until_at)
  WHERE judged_verdict = 'deny' AND list_contains($digests, judged_bundle_digest)
  GROUP BY ALL
), by_facet AS (
  SELECT 'rule' AS facet, rule AS value, sum(decisions) AS decisions FROM denied GROUP BY rule
  UNION ALL
  SELECT 'agent', agent, sum(decisions) FROM denied GROUP BY agent
  UNION ALL
  SELECT 'action', action, sum(decisions) FROM denied GROUP BY action
  UNION ALL
  SELECT 'resource', resource, sum(decisions) FROM denied GROUP BY resource
)
SELECT facet, value, CAST(decisions AS BIGINT) AS decisions
FROM by_facet
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY decisions DESC, value) <= $limit
ORDER BY facet, decisions DESC, value
