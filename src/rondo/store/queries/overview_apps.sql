-- A row per app, release and arm, and model of a shadow, with calls in [since, until): load, errors, latency, cost, feedback.
-- Parameters: project, since, until. Times are of the call, also for feedback. Latency is of answered calls, to within 2 %.
-- cost_usd is the sum of the known costs, NULL where none is known. Evaluations, and calls made elsewhere, do not count.
WITH numbers AS (
    SELECT app, "release", arm, CASE WHEN arm = 'shadow' THEN model END AS shadow_model,
        sum(calls)::BIGINT AS calls,
        sum(errors)::BIGINT AS errors,
        sum(tokens)::BIGINT AS tokens,
        sum(cost_usd) AS cost_usd,
        sum(cost_known)::BIGINT AS cost_known,
        (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
        sum(handed_over)::BIGINT AS handed_over,
        max(last_at) AS last_call_at
    FROM {cells}
    WHERE arm NOT IN ('eval', 'traced')
    GROUP BY ALL
),
counted AS (
    SELECT app, "release", arm, shadow_model, measure, bucket, sum(calls) AS calls
    FROM {appbuckets}
    WHERE arm NOT IN ('eval', 'traced')
    GROUP BY ALL
),
ranked AS (
    SELECT *,
        sum(calls) OVER (PARTITION BY app, "release", arm, shadow_model, measure ORDER BY bucket) AS upto,
        sum(calls) OVER (PARTITION BY app, "release", arm, shadow_model, measure) - 1 AS last
    FROM counted
),
latencies AS (
    SELECT app, "release", arm, shadow_model, {p50:duration} AS p50_ms, {p95:duration} AS p95_ms,
        {p95:first_token} AS p95_first_token_ms
    FROM ranked
    GROUP BY ALL
),
judged AS (
    SELECT app, "release",
        count(*) FILTER (WHERE verdict > 0) AS positive,
        count(*) FILTER (WHERE verdict < 0) AS negative
    FROM {judgements}
    WHERE kind = 'user' AND arm = 'live'
    GROUP BY app, "release"
)
SELECT numbers.*, p50_ms, p95_ms, p95_first_token_ms,
    coalesce(positive, 0) AS positive_feedback,
    coalesce(negative, 0) AS negative_feedback
FROM numbers
    LEFT JOIN latencies ON numbers.app IS NOT DISTINCT FROM latencies.app
        AND numbers."release" IS NOT DISTINCT FROM latencies."release" AND numbers.arm = latencies.arm
        AND numbers.shadow_model IS NOT DISTINCT FROM latencies.shadow_model
    LEFT JOIN judged ON numbers.app IS NOT DISTINCT FROM judged.app
        AND numbers."release" IS NOT DISTINCT FROM judged."release" AND numbers.arm = 'live'
ORDER BY numbers.app NULLS LAST, numbers."release" DESC NULLS LAST, numbers.arm, numbers.shadow_model
