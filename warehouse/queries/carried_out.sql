-- What became of the decisions of this period, by how they stood?
-- An outcome may be recorded long after; one that was recorded twice with different words counts as carried out.
SELECT
  d.shown_verdict AS verdict,
  d.mode,
  d.effect,
  o.carried_out,
  count(*) AS decisions
FROM decisions d
LEFT JOIN (
  SELECT decision_id, bool_or(carried_out) AS carried_out
  FROM outcomes
  WHERE occurred_at >= $from_at
  GROUP BY decision_id
) o USING (decision_id)
WHERE d.occurred_at >= $from_at AND d.occurred_at < $until_at
GROUP BY ALL
