-- Which producers have ever landed anything? By hash, ascending.
SELECT DISTINCT hash(project_id, producer_id) AS hash FROM tallies ORDER BY hash
