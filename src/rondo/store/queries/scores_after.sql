-- Scores that were written after `after`, also over others, in that order; with the span of the trace's first call.
-- Parameters: project, after, limit.
WITH page AS (
    SELECT *
    FROM scores
    WHERE project = $project AND arrival > $after
    ORDER BY arrival
    LIMIT $limit
),
judged AS (
    SELECT trace_id, arg_min(span_id, started_at) AS call_span_id,
        bool_and(coalesce(arm, 'live') = 'traced') AS is_traced
    FROM calls
    WHERE project = $project AND trace_id IN (SELECT trace_id FROM page)
    GROUP BY trace_id
)
SELECT page.* EXCLUDE (verdict), call_span_id, coalesce(is_traced, false) AS is_traced
FROM page LEFT JOIN judged USING (trace_id)
ORDER BY page.arrival
