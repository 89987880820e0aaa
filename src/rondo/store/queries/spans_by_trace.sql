-- The spans of one trace, in order of time. Parameters: project, trace_id.
SELECT * EXCLUDE (project, trace_id)
FROM spans
WHERE project = $project AND trace_id = $trace_id
ORDER BY started_at, rowid
