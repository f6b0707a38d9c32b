-- What became of this decision?
SELECT carried_out, status, error_class, latency_ms, input_tokens, output_tokens, cost_usd, denial_unread, occurred_at
FROM outcomes
WHERE decision_id = $decision_id
ORDER BY received_at DESC
LIMIT 1
