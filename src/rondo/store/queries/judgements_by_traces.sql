-- What judges said of these traces. Parameters: project, traces (ids with commas between).
SELECT trace_id, name, value, created_at
FROM scores
WHERE project = $project AND kind = 'judge' AND value IS NOT NULL
    AND trace_id IN (SELECT unnest(string_split($traces, ',')))
ORDER BY trace_id, name, created_at
