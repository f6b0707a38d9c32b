-- Which agent did each of these producers speak for in this period? One process is one agent, as a rule; `agents` says how many it named.
SELECT producer_id, min(agent_id) AS agent_id, count(DISTINCT agent_id) AS agents
FROM decisions
WHERE list_contains($producers, producer_id) AND received_at >= $from_at AND received_at < $until_at
GROUP BY producer_id
