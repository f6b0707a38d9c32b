-- From when on are there so many decisions that match these filters, back from the end? (To the hour, and to the minute at both ends.)
WITH matching AS (
  SELECT occurred_minute AS began_at, sum(decisions) AS decisions
  FROM rollup_matching(
    $from_at, $until_at, $finding, $bundles, $change, $candidate,
    standings := $standing, modes := $mode, agents := $agent, actions := $action, resources := $resource, rules := $rule
  )
  GROUP BY occurred_minute
), counted AS (
  SELECT began_at, sum(decisions) OVER (ORDER BY began_at DESC) AS decisions
  FROM matching
)
SELECT coalesce(max(began_at) FILTER (decisions >= $enough), min(began_at)) AS since_at
FROM counted
