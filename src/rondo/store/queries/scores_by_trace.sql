-- The scores of one trace, oldest first. Parameters: project, trace_id.
SELECT * EXCLUDE (verdict, arrival)
FROM scores
WHERE project = $project AND trace_id = $trace_id
ORDER BY created_at, id
