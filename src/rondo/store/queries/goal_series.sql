-- The metrics that goals can name over time: a row of `goal_metrics` per app and bucket with calls in [since, until),
-- and one per app over all of it (bucket_at NULL).
-- Parameters: project, app (NULL: each), release (NULL: all), since, until, bucket_us. Buckets begin at multiples of it.
WITH cells AS (
    SELECT app, begins_at // $bucket_us * $bucket_us AS bucket_at, sum(calls) AS calls, sum(errors) AS errors,
        sum(cost_usd) AS cost, sum(cost_known) AS cost_known, sum(handed_over_answered) AS handed_over,
        sum(handed_over_known) AS handed_over_known
    FROM {cells}
    WHERE arm = 'live' AND app IS NOT NULL AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
        AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
    GROUP BY ALL
),
answered AS (
    SELECT app, bucket_at, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors, sum(cost) AS cost,
        sum(cost_known)::BIGINT AS cost_known, sum(handed_over)::BIGINT AS handed_over,
        sum(handed_over_known)::BIGINT AS handed_over_known
    FROM cells
    GROUP BY GROUPING SETS ((app, bucket_at), (app))
),
buckets AS (
    SELECT app, begins_at // $bucket_us * $bucket_us AS bucket_at, measure, bucket, sum(calls) AS calls
    FROM {appbuckets}
    WHERE arm = 'live' AND app IS NOT NULL AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
        AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
    GROUP BY ALL
),
counted AS (
    SELECT app, bucket_at, measure, bucket, sum(calls) AS calls
    FROM buckets
    GROUP BY GROUPING SETS ((app, bucket_at, measure, bucket), (app, measure, bucket))
),
ranked AS (
    SELECT *, sum(calls) OVER (PARTITION BY app, bucket_at, measure ORDER BY bucket) AS upto,
        sum(calls) OVER (PARTITION BY app, bucket_at, measure) - 1 AS last
    FROM counted
),
latencies AS (
    SELECT app, bucket_at, {p50:duration} AS p50, {p95:duration} AS p95, {p95:first_token} AS first_token
    FROM ranked
    GROUP BY ALL
),
votes AS (
    SELECT app, started_at // $bucket_us * $bucket_us AS bucket_at, verdict
    FROM {judgements}
    WHERE kind = 'user' AND verdict <> 0 AND arm = 'live' AND app IS NOT NULL
        AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
        AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
),
judged AS (
    SELECT app, bucket_at, count(*) AS judgements, count(*) FILTER (WHERE verdict > 0) AS positive
    FROM votes
    GROUP BY GROUPING SETS ((app, bucket_at), (app))
)
SELECT answered.app, answered.bucket_at,
    calls AS "calls.count",
    errors AS "errors.count",
    errors / nullif(calls, 0) AS "errors.rate",
    p50 AS "latency.p50_ms",
    p95 AS "latency.p95_ms",
    first_token AS "first_token.p95_ms",
    cost AS "cost.total_usd",
    cost / nullif(cost_known, 0) AS "cost.per_request_usd",
    calls - cost_known AS "cost.unknown_count",
    handed_over / nullif(handed_over_known, 0) AS "handed_over.rate",
    1 - handed_over / nullif(handed_over_known, 0) AS "deflection",
    handed_over_known AS "handed_over.known_count",
    positive / nullif(judgements, 0) AS "feedback.positive_rate",
    coalesce(judgements, 0) AS "feedback.count"
FROM answered
    LEFT JOIN latencies ON latencies.app = answered.app AND latencies.bucket_at IS NOT DISTINCT FROM answered.bucket_at
    LEFT JOIN judged ON judged.app = answered.app AND judged.bucket_at IS NOT DISTINCT FROM answered.bucket_at
ORDER BY answered.app, answered.bucket_at
