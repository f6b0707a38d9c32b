-- Which offsets of the log were gone before they landed?
SELECT received_at, message, first_seq, last_seq
FROM findings
WHERE detail = 'log_hole'
ORDER BY received_at DESC
