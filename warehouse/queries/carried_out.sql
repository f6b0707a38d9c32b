-- What became of the decisions of this period, by how they stood? An outcome counts that was recorded within a day.
SELECT
  verdict,
  mode,
  effect,
  -- Asked whether it is among those told of, not joined with them: that needs no grouping of outcomes by decision, which takes longer
  -- than all the rest. One recorded twice, with different words, was carried out. Ids as uuids, which are compared as one number.
  CASE
    WHEN id IN (
      SELECT CAST(decision_id AS UUID) FROM outcomes
      WHERE carried_out AND occurred_at >= $from_at AND occurred_at < $until_at + INTERVAL 1 DAY
    ) THEN true
    WHEN id IN (
      SELECT CAST(decision_id AS UUID) FROM outcomes
      WHERE NOT carried_out AND occurred_at >= $from_at AND occurred_at < $until_at + INTERVAL 1 DAY
    ) THEN false
  END AS carried_out,
  count(*) AS decisions
FROM (
  SELECT CAST(decision_id AS UUID) AS id, shown_verdict AS verdict, mode, effect
  FROM decisions
  WHERE occurred_at >= $from_at AND occurred_at < $until_at
)
GROUP BY ALL
