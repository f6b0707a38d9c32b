-- By which hashes are these producers known?
SELECT project_id, producer_id, hash(project_id, producer_id) AS hash
FROM (SELECT unnest($projects) AS project_id, unnest($producers) AS producer_id)
