-- Calls of an app that users voted down, with what they last said of it; the last votes first.
-- Parameters: project, app, since, until, limit.
WITH voted AS (
    SELECT trace_id, max(created_at) AS happened_at, arg_max("comment", created_at) AS note
    FROM scores
    WHERE project = $project AND kind = 'user' AND verdict < 0 AND created_at >= $since AND created_at < $until
    GROUP BY trace_id
)
SELECT trace_id, happened_at, note
FROM voted
WHERE trace_id IN (
    SELECT trace_id FROM calls WHERE project = $project AND app = $app AND coalesce(arm, 'live') = 'live'
)
ORDER BY happened_at DESC, trace_id DESC
LIMIT $limit
