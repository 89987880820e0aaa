-- The newest calls of a rollout's candidate that are bad in one respect, for the reader to open.
-- Parameters: project, app, rollout, since, metric, beyond, more_is_bad, limit.
-- Bad is a value above `beyond` where `more_is_bad`, and below it elsewhere. Answers from the cache are no evidence.
WITH candidates AS (
    SELECT trace_id, started_at, failed, error_code, duration_ms, first_token_ms, cost_usd, tokens, handed_over
    FROM calls
    WHERE project = $project AND app = $app AND rollout = $rollout AND started_at >= $since
        AND coalesce(variant, 'candidate') = 'candidate' AND coalesce(arm, 'live') IN ('live', 'shadow')
        AND cache IS NULL
),
marked AS (
    SELECT trace_id, started_at, CASE $metric
        WHEN 'errors.rate' THEN failed::INTEGER
        WHEN 'timeouts' THEN (failed AND error_code = 'upstream_timeout')::INTEGER
        WHEN 'latency.p50_ms' THEN duration_ms
        WHEN 'latency.p95_ms' THEN duration_ms
        WHEN 'first_token.p95_ms' THEN first_token_ms
        WHEN 'cost.per_request_usd' THEN cost_usd
        WHEN 'tokens.per_request' THEN tokens
        WHEN 'handed_over.rate' THEN handed_over::INTEGER
        WHEN 'deflection' THEN 1 - handed_over::INTEGER
    END AS value
    FROM candidates
    UNION ALL
    SELECT trace_id, candidates.started_at,
        CASE WHEN $metric = 'feedback.positive_rate' THEN (scores.verdict > 0)::INTEGER ELSE scores.value END
    FROM candidates JOIN scores USING (trace_id)
    WHERE scores.project = $project AND scores.created_at >= $since AND (
        scores.name = $metric
        OR ($metric = 'feedback.positive_rate' AND scores.kind = 'user' AND scores.verdict <> 0))
)
SELECT trace_id
FROM marked
WHERE CASE WHEN $more_is_bad THEN value > $beyond ELSE value < $beyond END
GROUP BY trace_id
ORDER BY max(started_at) DESC, trace_id
LIMIT $limit
