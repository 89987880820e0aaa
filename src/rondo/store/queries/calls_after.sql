-- Which calls were stored after `after`, in that order, with what tells whether to judge them.
-- Parameters: project, after, limit.
SELECT arrival, trace_id, span_id, app, coalesce(arm, 'live') AS arm, rollout, started_at,
    NOT failed AND wire <> 'embeddings' AND output <> '' AS answered
FROM calls
WHERE project = $project AND arrival > $after
ORDER BY arrival
LIMIT $limit
