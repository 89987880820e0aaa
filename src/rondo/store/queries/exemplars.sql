-- A recent call for each bucket of the histogram of durations: a row per app, release, model, status, arm and upper bound
-- `le`, in milliseconds (NULL: above all of them). Parameters: project, since.
SELECT app, "release", model, status, coalesce(arm, 'live') AS arm,
    list_min(list_filter([10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000], lambda bound: duration_ms <= bound)) AS le,
    arg_max(trace_id, started_at) AS trace_id,
    arg_max(duration_ms, started_at) AS duration_ms,
    max(started_at) AS started_at
FROM calls
WHERE project = $project AND started_at >= $since
GROUP BY ALL
