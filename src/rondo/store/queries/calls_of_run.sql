-- What an evaluation run has asked since `since`: (trace_id, key, usd, failed). Parameters: project, run, since.
SELECT trace_id, tags['eval_key'] AS key, coalesce(charged_usd, cost_usd, 0) AS usd, failed
FROM calls
WHERE project = $project AND arm = 'eval' AND started_at >= $since AND tags['eval_run'] = $run
ORDER BY started_at
