-- What people said of an app's calls in [since, until), by criterion: the mean over calls of the scores that stand,
-- as shares of their scales. Parameters: project, app, release (NULL: all), since, until, below.
-- Only calls in the sample count: those that users voted down are looked at because something is wrong with them, and
-- a mean over them says nothing of the rest.
WITH sampled AS (
    SELECT DISTINCT trace_id
    FROM calls
    WHERE project = $project AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
        AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
        AND left(sha256(trace_id), 8) < $below
),
said AS (
    SELECT name, trace_id, avg(value) AS value
    FROM scores
    WHERE project = $project AND kind = 'human' AND key_id = 'reviews' AND value IS NOT NULL
        AND trace_id IN (SELECT trace_id FROM sampled)
    GROUP BY name, trace_id
)
SELECT name, avg(value) AS value, count(*) AS calls
FROM said
GROUP BY name
ORDER BY name
