-- What was rejected last, and how does it begin?
SELECT quarantine_id, received_at, stage, code, path, reason, length, producer_id, seq, log_partition, log_offset, sha256, bytes[1:$bytes_max] AS bytes
FROM quarantine
WHERE received_at >= $from_at AND received_at < $until_at
ORDER BY received_at DESC, quarantine_id DESC
LIMIT $limit
