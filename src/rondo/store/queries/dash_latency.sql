-- How long answered calls took, and when their first token came, over time: a row per bucket in [since, until) with any,
-- and one over all of it (bucket_at NULL). Parameters: project, since, until, bucket_us. Filters: cells.
-- Milliseconds, to within 2 %.
WITH buckets AS (
    SELECT begins_at // $bucket_us * $bucket_us AS bucket_at, measure, bucket, sum(calls) AS calls
    FROM {buckets}
    WHERE {where:cells}
    GROUP BY ALL
),
counted AS (
    SELECT bucket_at, measure, bucket, sum(calls) AS calls
    FROM buckets
    GROUP BY GROUPING SETS ((bucket_at, measure, bucket), (measure, bucket))
),
ranked AS (
    SELECT *, sum(calls) OVER (PARTITION BY bucket_at, measure ORDER BY bucket) AS upto,
        sum(calls) OVER (PARTITION BY bucket_at, measure) - 1 AS last
    FROM counted
)
SELECT bucket_at, {p50:duration} AS p50_ms, {p95:duration} AS p95_ms, {p99:duration} AS p99_ms,
    {p50:first_token} AS first_token_p50_ms, {p95:first_token} AS first_token_p95_ms
FROM ranked
GROUP BY ALL
ORDER BY bucket_at
