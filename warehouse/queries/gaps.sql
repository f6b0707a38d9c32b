-- Which numbers of which producers are missing or claimed twice, what was lost, and when?
SELECT type, detail, producer_id, agent_id, first_seq, last_seq, count, since_at, occurred_at, received_at, message
FROM findings
WHERE type IN ('sequence_gap', 'sequence_conflict', 'loss', 'clock_skew') AND received_at >= $from_at AND received_at < $until_at
ORDER BY received_at DESC, producer_id, first_seq
LIMIT $limit
