-- Counters over all calls of a project, for Prometheus: a row per app, release, model, status and arm.
-- Parameters: project. `le_N`: calls that took at most N milliseconds.
SELECT app, "release", model, status, coalesce(arm, 'live') AS arm,
    count(*) AS calls,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    count(*) - count(cost_usd) AS cost_unknown,
    sum(duration_ms) AS duration_ms,
    count(*) FILTER (WHERE duration_ms <= 10) AS le_10,
    count(*) FILTER (WHERE duration_ms <= 25) AS le_25,
    count(*) FILTER (WHERE duration_ms <= 50) AS le_50,
    count(*) FILTER (WHERE duration_ms <= 100) AS le_100,
    count(*) FILTER (WHERE duration_ms <= 250) AS le_250,
    count(*) FILTER (WHERE duration_ms <= 500) AS le_500,
    count(*) FILTER (WHERE duration_ms <= 1000) AS le_1000,
    count(*) FILTER (WHERE duration_ms <= 2500) AS le_2500,
    count(*) FILTER (WHERE duration_ms <= 5000) AS le_5000,
    count(*) FILTER (WHERE duration_ms <= 10000) AS le_10000,
    count(*) FILTER (WHERE duration_ms <= 30000) AS le_30000
FROM calls
WHERE project = $project
GROUP BY app, "release", model, status, coalesce(arm, 'live')
ORDER BY ALL
