-- When was the newest record received?
SELECT max(received_at) AS received_at FROM tallies
