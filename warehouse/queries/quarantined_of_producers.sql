-- Why were lines of these producers quarantined?
SELECT reason, count(*) AS lines
FROM quarantine
WHERE producer_id IN (SELECT unnest($producers))
GROUP BY reason
ORDER BY lines DESC, reason
LIMIT 5
