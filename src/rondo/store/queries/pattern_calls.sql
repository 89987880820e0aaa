-- Calls of [since, until) that went wrong, in one of the ways that are asked for; at most `limit`, drawn by hashes.
-- Parameters: project, app (NULL: all), since, until, failing, disliked, low, handed_over (each whether it is asked for),
-- score and below (NULL, or a score's name and what is too low), limit. Every row tells how many there were in all.
WITH asked AS (
    SELECT rowid AS place, trace_id, failed, coalesce(handed_over, false) AS handed_over
    FROM calls
    WHERE project = $project AND ($app::VARCHAR IS NULL OR app = $app) AND started_at >= $since AND started_at < $until
        AND coalesce(arm, 'live') IN ('live', 'traced') AND wire <> 'embeddings'
),
judged AS (
    SELECT trace_id, bool_or(kind = 'user' AND verdict < 0) AS disliked,
        bool_or(kind <> 'user' AND verdict < 0)
            OR bool_or($score::VARCHAR IS NOT NULL AND name = $score AND value < $below::DOUBLE) IS TRUE AS low
    FROM scores
    WHERE project = $project AND trace_id IN (SELECT trace_id FROM asked)
    GROUP BY trace_id
),
chosen AS (
    SELECT place, trace_id, coalesce(disliked, false) AS disliked, coalesce(low, false) AS low
    FROM asked LEFT JOIN judged USING (trace_id)
    WHERE ($failing AND failed) OR ($disliked AND coalesce(disliked, false)) OR ($low AND coalesce(low, false))
        OR ($handed_over AND handed_over)
),
drawn AS (
    SELECT place, disliked, low FROM chosen ORDER BY md5(trace_id), place LIMIT $limit
)
SELECT calls.trace_id, span_id, started_at, coalesce(nullif("user", ''), nullif(session, ''), calls.trace_id) AS unit,
    app, "release", coalesce(model, requested_model) AS model, failed, error_code, left(error_message, 300) AS error_message,
    left(question, 4000) AS question, coalesce(handed_over, false) AS handed_over, drawn.disliked, drawn.low,
    (SELECT count(*) FROM chosen) AS matching
FROM calls JOIN drawn ON calls.rowid = drawn.place
WHERE project = $project
ORDER BY started_at, calls.trace_id, span_id
