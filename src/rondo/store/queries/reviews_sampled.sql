-- Answered live calls of an app whose trace falls into the sample, newest first.
-- Parameters: project, app, since, until, below, limit.
-- The first hex digits of a trace's SHA-256 decide, so that every run, on every store, decides the same.
SELECT trace_id, min(started_at) AS happened_at
FROM calls
WHERE project = $project AND app = $app AND started_at >= $since AND started_at < $until
    AND coalesce(arm, 'live') = 'live' AND NOT failed AND answer <> ''
    AND left(sha256(trace_id), 8) < $below
GROUP BY trace_id
ORDER BY happened_at DESC, trace_id DESC
LIMIT $limit
