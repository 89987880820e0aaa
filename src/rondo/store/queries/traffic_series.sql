-- Live calls over time: a row per bucket in [since, until), also for buckets without calls. Latency to within 2 %.
-- Parameters: project, since, until, bucket_us, app (NULL: all). Buckets begin at multiples of bucket_us.
WITH buckets AS (
    SELECT unnest(range($since::BIGINT // $bucket_us * $bucket_us, $until::BIGINT, $bucket_us::BIGINT)) AS bucket_at
),
numbers AS (
    SELECT begins_at // $bucket_us * $bucket_us AS bucket_at,
        sum(calls)::BIGINT AS calls,
        sum(errors)::BIGINT AS errors,
        sum(cost_usd) AS cost_usd,
        (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown
    FROM {cells}
    WHERE arm = 'live' AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
    GROUP BY ALL
),
counted AS (
    SELECT begins_at // $bucket_us * $bucket_us AS bucket_at, measure, bucket, sum(calls) AS calls
    FROM {appbuckets}
    WHERE arm = 'live' AND measure = 'duration' AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
    GROUP BY ALL
),
ranked AS (
    SELECT *, sum(calls) OVER (PARTITION BY bucket_at ORDER BY bucket) AS upto,
        sum(calls) OVER (PARTITION BY bucket_at) - 1 AS last
    FROM counted
),
latencies AS (
    SELECT bucket_at, {p50:duration} AS p50_ms, {p95:duration} AS p95_ms FROM ranked GROUP BY ALL
)
SELECT bucket_at, coalesce(calls, 0) AS calls, coalesce(errors, 0) AS errors, p50_ms, p95_ms, cost_usd,
    coalesce(cost_unknown, 0) AS cost_unknown
FROM buckets LEFT JOIN numbers USING (bucket_at) LEFT JOIN latencies USING (bucket_at)
ORDER BY bucket_at
