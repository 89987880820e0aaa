-- Calls of an app where a judge and a user say opposite things, the last of them first.
-- Parameters: project, app, since, until, gap, limit.
-- A user's vote is 0 or 1. So is a judge's yes or no; its other scores are shares of their scale.
WITH votes AS (
    SELECT trace_id, created_at, value
    FROM scores
    WHERE project = $project AND kind = 'user' AND data_type = 'boolean'
),
judged AS (
    SELECT trace_id, created_at, name, value
    FROM scores
    WHERE project = $project AND kind = 'judge' AND value BETWEEN 0 AND 1
),
apart AS (
    SELECT trace_id, max(greatest(votes.created_at, judged.created_at)) AS happened_at,
        arg_max(name, abs(votes.value - judged.value)) AS judge
    FROM votes JOIN judged USING (trace_id)
    WHERE abs(votes.value - judged.value) > 0.5 AND abs(votes.value - judged.value) >= $gap
    GROUP BY trace_id
)
SELECT trace_id, happened_at, judge
FROM apart
WHERE happened_at >= $since AND happened_at < $until
    AND trace_id IN (
        SELECT trace_id FROM calls WHERE project = $project AND app = $app AND coalesce(arm, 'live') = 'live'
    )
ORDER BY happened_at DESC, trace_id DESC
LIMIT $limit
