-- One call of a trace, whole. Parameters: project, trace_id, span_id.
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND trace_id = $trace_id AND span_id = $span_id
LIMIT 1
