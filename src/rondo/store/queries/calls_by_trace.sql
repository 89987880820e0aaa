-- Whole calls of one trace, in order of time, those that others told of last; of many, the first thousand.
-- Parameters: project, trace_id.
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND trace_id = $trace_id
ORDER BY coalesce(arm, 'live') = 'traced', started_at, span_id
LIMIT 1000
