-- Distinct users who called, over time: a row per bucket in [since, until) with any.
-- Parameters: project, since, until, bucket_us, app (NULL: all), arm (NULL: all).
-- Whole days that nothing has been added to since were counted before.
WITH late AS (
    SELECT DISTINCT started_at // 86400000000 * 86400000000 AS day_at
    FROM calls
    WHERE project = $project AND arrival > $rolled
),
settled AS (
    SELECT begins_at AS bucket_at, users
    FROM rollup_active
    WHERE project = $project AND app IS NOT DISTINCT FROM $app::VARCHAR AND arm IS NOT DISTINCT FROM $arm::VARCHAR
        AND $bucket_us = 86400000000 AND begins_at >= $days_from AND begins_at < $days_until
        AND begins_at NOT IN (SELECT day_at FROM late)
)
SELECT bucket_at, users FROM settled
UNION ALL
SELECT begins_at // $bucket_us * $bucket_us AS bucket_at, count(DISTINCT user_number) AS users
FROM {users}
WHERE ($app::VARCHAR IS NULL OR app = $app::VARCHAR) AND ($arm::VARCHAR IS NULL OR arm = $arm::VARCHAR)
    AND begins_at // $bucket_us * $bucket_us NOT IN (SELECT bucket_at FROM settled)
GROUP BY ALL
ORDER BY bucket_at
