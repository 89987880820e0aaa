-- The spans of the chosen calls, for an export. Parameters: project. Filters: calls.
SELECT *
FROM spans
WHERE project = $project
    AND (trace_id, call_span_id) IN (SELECT (trace_id, span_id) FROM calls WHERE project = $project AND {where:calls})
