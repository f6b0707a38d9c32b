-- How do the tallies of these producers add up?
SELECT
  sum(received) AS received,
  sum(landed) AS landed,
  sum(duplicate) AS duplicate,
  sum(quarantined) AS quarantined
FROM tallies
WHERE producer_id IN (SELECT unnest($producers))
