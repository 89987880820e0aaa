-- The first call of each of these traces, as lists show it. Parameters: project, traces (ids with commas between), longest.
-- Texts are cut to `longest` characters; `input` and `chunks` are left out, which are long.
SELECT trace_id, app, "release", release_hash, model, started_at, "user", session,
    left(question, $longest) AS question, left(answer, $longest) AS answer
FROM calls
WHERE project = $project AND trace_id IN (SELECT unnest(string_split($traces, ',')))
QUALIFY row_number() OVER (PARTITION BY trace_id ORDER BY started_at, span_id) = 1
