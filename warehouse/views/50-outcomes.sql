-- What became of each decision? One row for each, with its last outcome; NULL where none came.
CREATE VIEW decisions_with_outcomes AS
SELECT decisions.*, last.* EXCLUDE (decision_id)
FROM decisions
LEFT JOIN (
  SELECT
    decision_id,
    unnest(arg_max(
      {
        carried_out: carried_out, status: status, error_class: error_class, latency_ms: latency_ms,
        input_tokens: input_tokens, output_tokens: output_tokens, cost_usd: cost_usd, denial_unread: denial_unread,
        outcome_at: occurred_at
      },
      occurred_at
    ))
  FROM outcomes
  GROUP BY decision_id
) AS last USING (decision_id);
