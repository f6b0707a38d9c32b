-- How do the counts of this period add up?
SELECT
  CAST(coalesce(sum(received), 0) AS BIGINT) AS received,
  CAST(coalesce(sum(landed), 0) AS BIGINT) AS landed,
  CAST(coalesce(sum(duplicate), 0) AS BIGINT) AS duplicate,
  CAST(coalesce(sum(quarantined), 0) AS BIGINT) AS quarantined,
  CAST(coalesce(sum(lost), 0) AS BIGINT) AS lost,
  count(*) AS messages,
  count(DISTINCT producer_id) AS producers,
  count(*) FILTER (received <> landed + duplicate + quarantined) AS unbalanced
FROM tallies
WHERE received_at >= $from_at AND received_at < $until_at
