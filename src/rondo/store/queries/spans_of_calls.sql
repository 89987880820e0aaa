-- The spans of these calls, in order of time. Parameters: project, since, calls (trace/span ids with commas between).
-- No step begins before its call does; `since` is when the first of these calls began.
SELECT *
FROM spans
WHERE project = $project AND started_at >= $since
    AND concat(trace_id, '/', call_span_id) IN (SELECT unnest(string_split($calls, ',')))
ORDER BY started_at, rowid
