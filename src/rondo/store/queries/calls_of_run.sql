-- What an evaluation run was told: (trace_id, key), of answered calls since `since`. Parameters: project, run, since.
SELECT trace_id, tags['eval_key'] AS key
FROM calls
WHERE project = $project AND arm = 'eval' AND started_at >= $since AND NOT failed
    AND tags['eval_run'] = $run
ORDER BY started_at
