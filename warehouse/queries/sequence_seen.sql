-- Which of these messages, by range and digest of their ids, have a tally?
WITH asked AS (
  SELECT
    unnest($projects) AS project_id, unnest($producers) AS producer_id,
    unnest($firsts) AS first_seq, unnest($counts) AS count, unhex(unnest($digests)) AS ids_digest
)
SELECT DISTINCT project_id, producer_id, first_seq, count, lower(hex(ids_digest)) AS ids_digest
FROM asked SEMI JOIN tallies USING (project_id, producer_id, first_seq, count, ids_digest)
