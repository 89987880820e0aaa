-- A row per app, release and arm, and model of a shadow, with calls in [since, until): load, errors, latency, cost, feedback.
-- Parameters: project, since, until. Times are of the call, also for feedback. Latency is of answered calls.
-- cost_usd is the sum of the known costs, NULL where none is known. Evaluations do not count.
WITH numbers AS (
    SELECT app, "release", coalesce(arm, 'live') AS arm, CASE WHEN arm = 'shadow' THEN model END AS shadow_model,
        count(*) AS calls,
        count(*) FILTER (WHERE failed) AS errors,
        quantile_cont(duration_ms, [0.5, 0.95]) FILTER (WHERE NOT failed) AS durations,
        quantile_cont(first_token_ms, 0.95) FILTER (WHERE NOT failed) AS p95_first_token_ms,
        sum(tokens)::BIGINT AS tokens,
        sum(cost_usd) AS cost_usd,
        count(cost_usd) AS cost_known,
        count(*) - count(cost_usd) AS cost_unknown,
        count(*) FILTER (WHERE handed_over) AS handed_over,
        max(started_at) AS last_call_at
    FROM calls
    WHERE project = $project AND started_at >= $since AND started_at < $until AND arm IS DISTINCT FROM 'eval'
    GROUP BY ALL
),
judgements AS (
    SELECT DISTINCT scores.id, scores.verdict, calls.app, calls."release"
    FROM scores JOIN calls ON calls.project = scores.project AND calls.trace_id = scores.trace_id
    WHERE scores.project = $project AND scores.kind = 'user' AND scores.verdict <> 0
        AND calls.project = $project AND calls.started_at >= $since AND calls.started_at < $until
        AND coalesce(calls.arm, 'live') = 'live'
),
judged AS (
    SELECT app, "release",
        count(*) FILTER (WHERE verdict > 0) AS positive,
        count(*) FILTER (WHERE verdict < 0) AS negative
    FROM judgements
    GROUP BY app, "release"
)
SELECT numbers.* EXCLUDE (durations),
    durations[1] AS p50_ms,
    durations[2] AS p95_ms,
    coalesce(positive, 0) AS positive_feedback,
    coalesce(negative, 0) AS negative_feedback
FROM numbers LEFT JOIN judged
    ON numbers.app IS NOT DISTINCT FROM judged.app AND numbers."release" IS NOT DISTINCT FROM judged."release"
        AND numbers.arm = 'live'
ORDER BY app NULLS LAST, "release" DESC NULLS LAST, arm, shadow_model
