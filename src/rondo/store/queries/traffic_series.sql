-- Live calls over time: a row per bucket in [since, until), also for buckets without calls.
-- Parameters: project, since, until, bucket_us, app (NULL: all). Buckets begin at multiples of bucket_us.
WITH buckets AS (
    SELECT unnest(range($since::BIGINT // $bucket_us * $bucket_us, $until::BIGINT, $bucket_us::BIGINT)) AS bucket_at
),
numbers AS (
    SELECT started_at // $bucket_us * $bucket_us AS bucket_at,
        count(*) AS calls,
        count(*) FILTER (WHERE failed) AS errors,
        quantile_cont(duration_ms, [0.5, 0.95]) FILTER (WHERE NOT failed) AS durations,
        sum(cost_usd) AS cost_usd,
        count(*) - count(cost_usd) AS cost_unknown
    FROM calls
    WHERE project = $project AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
        AND ($app::VARCHAR IS NULL OR app = $app::VARCHAR)
    GROUP BY ALL
)
SELECT bucket_at,
    coalesce(calls, 0) AS calls,
    coalesce(errors, 0) AS errors,
    durations[1] AS p50_ms,
    durations[2] AS p95_ms,
    cost_usd,
    coalesce(cost_unknown, 0) AS cost_unknown
FROM buckets LEFT JOIN numbers USING (bucket_at)
ORDER BY bucket_at
