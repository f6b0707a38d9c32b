-- What was rejected last, without its bytes?
SELECT quarantine_id, received_at, stage, code, path, reason, length, producer_id, seq, sha256
FROM quarantine
WHERE received_at >= $from_at AND received_at < $until_at
ORDER BY received_at DESC, quarantine_id
LIMIT $limit
