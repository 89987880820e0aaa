-- What people said of calls, newest first: scores of kind `human` named `human.<aspect>`, as shares of their scale.
-- Parameters: project, limit. Filters: scores.
SELECT trace_id, substring(name, 7) AS aspect, value, author
FROM scores
WHERE project = $project AND kind = 'human' AND starts_with(name, 'human.') AND value IS NOT NULL AND {where:scores}
ORDER BY created_at DESC, id
LIMIT $limit
