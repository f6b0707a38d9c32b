-- What are the kept bytes of this rejected input?
SELECT received_at, stage, code, path, reason, length, sha256, bytes
FROM quarantine
WHERE quarantine_id = $quarantine_id
LIMIT 1
