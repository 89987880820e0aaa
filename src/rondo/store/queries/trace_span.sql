-- A span that another program sent, whole. Parameters: project, trace_id, span_id.
SELECT *
FROM trace_spans
WHERE project = $project AND trace_id = $trace_id AND span_id = $span_id
LIMIT 1
