-- Has a decision of this project ever landed?
SELECT CAST(coalesce(sum(decisions), 0) AS BIGINT) AS decisions
FROM tallies
