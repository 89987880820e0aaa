-- What the first call of each of these traces was asked with. Parameters: project, traces (ids with commas between).
SELECT trace_id, input, chunks
FROM calls
WHERE project = $project AND trace_id IN (SELECT unnest(string_split($traces, ',')))
QUALIFY row_number() OVER (PARTITION BY trace_id ORDER BY started_at, span_id) = 1
