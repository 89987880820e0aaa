-- What scorers said of an app's live calls over time: the mean by bucket of [since, until) and score's name, and over all
-- of it (bucket_at NULL).
-- Parameters: project, app, release (NULL: all), since, until, below, bucket_us. Buckets begin at multiples of it.
-- The same calls as those of `live_scores`: the sample, so that a rollout's calls do not weigh more than they are.
WITH judged AS (
    SELECT trace_id, name, value
    FROM scores
    WHERE project = $project AND key_id = 'live' AND kind IN ('judge', 'code') AND value IS NOT NULL
        AND created_at >= $since AND left(sha256(trace_id), 8) < $below
),
sampled AS (
    SELECT trace_id, min(started_at) // $bucket_us * $bucket_us AS bucket_at
    FROM calls
    WHERE project = $project AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
        AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
        AND trace_id IN (SELECT trace_id FROM judged)
    GROUP BY trace_id
)
SELECT bucket_at, name, avg(value) AS value
FROM judged JOIN sampled USING (trace_id)
GROUP BY GROUPING SETS ((bucket_at, name), (name))
ORDER BY name, bucket_at
