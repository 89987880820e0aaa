-- What scorers said of an app's live calls in [since, until): a row per score's name, with its mean over calls.
-- Parameters: project, app, release (NULL: all), since, until, below.
-- Only calls in the sample count: of a rollout's calls more are scored, and they would weigh more than they are.
-- `variance` is that of the mean, users (else sessions, else traces) being independent of each other.
WITH judged AS (
    SELECT trace_id, name, value
    FROM scores
    WHERE project = $project AND key_id = 'live' AND kind IN ('judge', 'code') AND value IS NOT NULL
        AND created_at >= $since AND left(sha256(trace_id), 8) < $below
),
sampled AS (
    SELECT trace_id, any_value(coalesce(nullif("user", ''), nullif(session, ''), trace_id)) AS unit
    FROM calls
    WHERE project = $project AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
        AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
        AND trace_id IN (SELECT trace_id FROM judged)
    GROUP BY trace_id
),
said AS (
    SELECT name, unit, sum(value) AS total, count(*) AS calls, min(value) AS least, max(value) AS most
    FROM judged JOIN sampled USING (trace_id)
    GROUP BY name, unit
),
means AS (
    SELECT name, sum(total) / sum(calls) AS mean
    FROM said
    GROUP BY name
)
SELECT name, any_value(mean) AS value, sum(calls)::BIGINT AS calls, count(*) AS units,
    min(least) AS least, max(most) AS most,
    CASE WHEN count(*) > 1 THEN
        count(*) / (count(*) - 1) * sum((total - calls * mean) ** 2) / sum(calls) ** 2
    END AS variance
FROM said JOIN means USING (name)
GROUP BY name
ORDER BY name
