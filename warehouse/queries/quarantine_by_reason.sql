-- Why was input rejected, and where?
SELECT stage, code, count(*) AS records, max(received_at) AS last_at, arg_max(reason, received_at) AS reason
FROM quarantine
WHERE received_at >= $from_at AND received_at < $until_at
GROUP BY stage, code
ORDER BY records DESC, stage, code
