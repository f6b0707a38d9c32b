-- What did the workers say of the decisions of these producers, by verdict and deciding rule (from 0)?
SELECT
  coalesce(judged_verdict, 'not_judged') AS verdict,
  CASE
    WHEN judged_verdict = 'not_replayable' THEN 'not_replayable'
    WHEN judged_reason_code = 'malformed_request' THEN 'malformed'
    WHEN judged_rule IS NULL THEN 'default'
    ELSE CAST(judged_rule - 1 AS VARCHAR)
  END AS rule,
  count(*) AS decisions
FROM decisions
WHERE producer_id IN (SELECT unnest($producers))
GROUP BY ALL
ORDER BY decisions DESC
