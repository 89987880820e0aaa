-- Everything in one trace as narrow rows, in order of time: calls, their own steps, and spans that others sent.
-- Parameters: project, trace_id, limit.
WITH told AS (
    SELECT 'call' AS source, span_id, parent_span_id,
        CASE WHEN arm = 'traced' THEN requested_model ELSE coalesce(app, model, requested_model) END AS name,
        coalesce(arm, 'live') AS kind, started_at, duration_ms, failed, left(coalesce(error_message, error_code), 200) AS error,
        coalesce(served_model, model, requested_model) AS model, app, "user", session, NULL AS service, tokens, cost_usd
    FROM calls
    WHERE project = $project AND trace_id = $trace_id
    UNION ALL
    SELECT 'step', span_id, parent_span_id, name, kind, started_at, duration_ms, status = 'error', left(error, 200),
        NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM spans
    WHERE project = $project AND trace_id = $trace_id
    UNION ALL
    SELECT 'span', span_id, parent_span_id, name, kind, started_at, duration_ms, status = 'error', left(error, 200),
        NULL, app, "user", session, service, NULL, NULL
    FROM trace_spans
    WHERE project = $project AND trace_id = $trace_id
)
SELECT *
FROM told
ORDER BY started_at, span_id
LIMIT $limit
