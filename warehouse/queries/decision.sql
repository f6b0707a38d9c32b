-- What is kept of this decision?
SELECT *
FROM decisions
WHERE decision_id = $decision_id
LIMIT 1
