-- What was noticed in this decision?
SELECT type, detail, severity, path, count, message, fingerprint
FROM findings
WHERE decision_id = $decision_id
ORDER BY list_position(['critical', 'warning', 'info'], severity), type, detail, path
