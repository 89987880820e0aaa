-- A page of calls, newest first; texts cut to 200 characters.
-- Parameters: project, limit. Filters: calls.
-- The page is found by the narrow columns alone; the wide ones are read for its rows only. Trace ids are in order of
-- time, so that the least of them leaves out most of the scores.
WITH page AS (
    SELECT rowid AS place
    FROM calls
    WHERE project = $project AND {where:calls}
    ORDER BY started_at DESC, trace_id DESC, span_id DESC
    LIMIT $limit
),
listed AS (
    SELECT trace_id, span_id, started_at, app, "release", model, provider, served_model, requested_model,
        "user", session, wire, stream, status, failed, error_code, left(error_message, 200) AS error_message,
        duration_ms, first_token_ms, tokens, cost_usd,
        left(question, 200) AS question, left(answer, 200) AS answer, handed_over, attempts, arrival,
        arm, "cache", rule
    FROM calls
    WHERE project = $project AND rowid IN (SELECT place FROM page)
),
judged AS (
    SELECT trace_id, count(*) AS feedback, count(*) FILTER (WHERE verdict < 0) AS negative_feedback
    FROM scores
    WHERE project = $project AND kind = 'user' AND trace_id IN (SELECT trace_id FROM listed)
        AND trace_id >= (SELECT min(trace_id) FROM listed)
    GROUP BY trace_id
)
SELECT listed.*, coalesce(feedback, 0) AS feedback, coalesce(negative_feedback, 0) AS negative_feedback
FROM listed LEFT JOIN judged USING (trace_id)
ORDER BY started_at DESC, trace_id DESC, span_id DESC
