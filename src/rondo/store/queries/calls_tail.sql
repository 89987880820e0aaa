-- Calls in the order in which they were stored: those after `after`, or the newest where `after` is NULL.
-- Parameters: project, after, limit. Filters: calls.
WITH page AS (
    SELECT rowid AS place
    FROM calls
    WHERE project = $project AND ($after::BIGINT IS NULL OR arrival > $after::BIGINT) AND {where:calls}
    ORDER BY CASE WHEN $after::BIGINT IS NULL THEN -arrival ELSE arrival END
    LIMIT $limit
)
SELECT trace_id, span_id, started_at, app, "release", model, provider, served_model, requested_model,
    "user", session, wire, stream, status, failed, error_code, left(error_message, 200) AS error_message,
    duration_ms, first_token_ms, tokens, cost_usd,
    left(question, 200) AS question, left(answer, 200) AS answer, handed_over, attempts, arrival,
    arm, "cache", rule,
    0 AS feedback, 0 AS negative_feedback
FROM calls
WHERE project = $project AND rowid IN (SELECT place FROM page)
ORDER BY arrival
