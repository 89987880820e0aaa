-- What people said of an app's calls over time: `human_metrics` by bucket of [since, until), and over all of it
-- (bucket_at NULL); `variance` as in `live_scores`.
-- Parameters: project, app, release (NULL: all), since, until, below, bucket_us. Buckets begin at multiples of it.
WITH judged AS (
    SELECT trace_id, name, avg(value) AS value
    FROM scores
    WHERE project = $project AND kind = 'human' AND key_id = 'reviews' AND value IS NOT NULL
        AND created_at >= $since AND left(sha256(trace_id), 8) < $below
    GROUP BY trace_id, name
),
sampled AS (
    SELECT trace_id, min(started_at) // $bucket_us * $bucket_us AS bucket_at,
        any_value(coalesce(nullif("user", ''), nullif(session, ''), trace_id)) AS unit
    FROM calls
    WHERE project = $project AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
        AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
        AND trace_id IN (SELECT trace_id FROM judged)
    GROUP BY trace_id
),
said AS (
    SELECT bucket_at, name, unit, sum(value) AS total, count(*) AS calls, min(value) AS least, max(value) AS most
    FROM judged JOIN sampled USING (trace_id)
    GROUP BY GROUPING SETS ((bucket_at, name, unit), (name, unit))
),
centred AS (
    SELECT *, sum(total) OVER alike / sum(calls) OVER alike AS mean
    FROM said
    WINDOW alike AS (PARTITION BY bucket_at, name)
)
SELECT bucket_at, name, any_value(mean) AS value, sum(calls)::BIGINT AS calls, count(*) AS units,
    min(least) AS least, max(most) AS most,
    CASE WHEN count(*) > 1 THEN
        count(*) / (count(*) - 1) * sum((total - calls * mean) ** 2) / sum(calls) ** 2
    END AS variance
FROM centred
GROUP BY bucket_at, name
ORDER BY name, bucket_at
