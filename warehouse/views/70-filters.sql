-- Which decisions do the filters of a page let through? An empty list, and an empty text, leaves all of them.
CREATE MACRO is_chosen(chosen, value) AS len(chosen) = 0 OR list_contains(chosen, value);
-- Spelled out and not a CASE: a filter that names no denial then lets whole row groups be passed over.
CREATE MACRO is_chosen_standing(chosen, effect, verdict, mode) AS
  len(chosen) = 0
  OR (list_contains(chosen, 'deny') AND effect = 'deny')
  OR (list_contains(chosen, 'deny_logged') AND effect <> 'deny' AND verdict = 'deny' AND mode = 'log-only')
  OR (list_contains(chosen, 'deny_unenforced') AND effect <> 'deny' AND verdict = 'deny' AND mode <> 'log-only')
  OR (list_contains(chosen, 'allow') AND effect <> 'deny' AND verdict = 'allow')
  OR (list_contains(chosen, 'warn') AND effect <> 'deny' AND verdict = 'warn')
  OR (list_contains(chosen, 'audit') AND effect <> 'deny' AND verdict = 'audit')
  OR (list_contains(chosen, 'not_replayable') AND effect <> 'deny' AND verdict = 'not_replayable')
  OR (list_contains(chosen, 'unevaluated') AND effect <> 'deny' AND verdict IS NULL);
CREATE MACRO standing_of(effect, verdict, mode) AS
  CASE
    WHEN effect = 'deny' THEN 'deny'
    WHEN verdict IS NULL THEN 'unevaluated'
    WHEN verdict <> 'deny' THEN verdict
    WHEN mode = 'log-only' THEN 'deny_logged'
    ELSE 'deny_unenforced'
  END;
-- The rule that decided; of one policy's bundles alone, the rule of that policy.
CREATE MACRO rule_of(bundles, rule_id, judged_rule_id) AS coalesce(CASE WHEN len(bundles) = 0 THEN rule_id END, judged_rule_id, '');
-- What a policy denies, or what a candidate for it would deny or let through otherwise.
CREATE MACRO is_chosen_change(change, candidate, judged_verdict, candidates) AS
  (change <> 'denied' OR judged_verdict = 'deny')
  AND (candidate = '' OR CASE change
    WHEN 'newly_denied' THEN judged_verdict NOT IN ('deny', 'not_replayable') AND ((candidates -> candidate) ->> 'verdict') = 'deny'
    ELSE judged_verdict = 'deny' AND ((candidates -> candidate) ->> 'verdict') NOT IN ('deny', 'not_replayable')
  END);
CREATE MACRO says(text, words) AS contains(lower(text), lower(words));
CREATE MACRO decisions_matching(
  from_at, until_at, findings, sessions, bundles, change, candidate, q,
  standings := [], modes := [], agents := [], actions := [], resources := [], rules := []
) AS TABLE
SELECT *
FROM decisions
WHERE occurred_at >= from_at AND occurred_at < until_at
  AND is_chosen_standing(standings, effect, shown_verdict, mode)
  AND is_chosen(modes, mode)
  AND is_chosen(agents, coalesce(agent_id, ''))
  AND is_chosen(actions, action)
  AND is_chosen(resources, coalesce(resource_label(resource), ''))
  AND is_chosen(rules, rule_of(bundles, rule_id, judged_rule_id))
  AND (len(findings) = 0 OR list_has_any(list_concat(finding_types, drift_kinds), findings))
  AND is_chosen(sessions, session_id)
  AND is_chosen(bundles, judged_bundle_digest)
  AND is_chosen_change(change, candidate, judged_verdict, candidates)
  AND (
    q = ''
    OR says(action, q) OR says(resource, q) OR says(agent_id, q) OR says(user_id, q) OR says(session_id, q) OR says(reason, q)
    OR says(tool, q) OR says(method, q) OR says(args, q) OR says(text, q) OR says(tags, q)
  );
-- The same of the rollups: to the hour, and to the minute at both ends.
CREATE MACRO rollup_matching(
  from_at, until_at, findings, bundles, change, candidate,
  standings := [], modes := [], agents := [], actions := [], resources := [], rules := []
) AS TABLE
SELECT *
FROM rollup_between(from_at, until_at)
WHERE is_chosen_standing(standings, effect, verdict, mode)
  AND is_chosen(modes, mode)
  AND is_chosen(agents, coalesce(agent_id, ''))
  AND is_chosen(actions, action)
  AND is_chosen(resources, coalesce(resource_label, ''))
  AND is_chosen(rules, rule_of(bundles, rule_id, judged_rule_id))
  AND (len(findings) = 0 OR list_has_any(string_split(found, ' '), findings))
  AND is_chosen(bundles, judged_bundle_digest)
  AND is_chosen_change(change, candidate, judged_verdict, candidates);
-- How many rows of `scoped` are behind each choice of each filter, the others as they are? At most so many of a filter.
CREATE MACRO facets_of(scoped, standings, modes, agents, actions, resources, rules, most) AS TABLE
WITH counted AS MATERIALIZED (
  SELECT
    standing, mode, agent, action, resource, rule,
    is_chosen(standings, standing) AS in_standing,
    is_chosen(modes, mode) AS in_mode,
    is_chosen(agents, agent) AS in_agent,
    is_chosen(actions, action) AS in_action,
    is_chosen(resources, resource) AS in_resource,
    is_chosen(rules, rule) AS in_rule,
    CAST(sum(decisions) AS BIGINT) AS decisions
  FROM query_table(scoped)
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
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY decisions DESC, value) <= most
ORDER BY facet, decisions DESC, value;
