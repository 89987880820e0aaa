-- Whole calls of one trace, in order of time. Parameters: project, trace_id.
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND trace_id = $trace_id
ORDER BY started_at, span_id
