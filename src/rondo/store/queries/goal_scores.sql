-- What scorers or people said of apps' live calls, as goals have it: a row per app, score's name and bucket of [since, until),
-- and one per app and name over all of it (bucket_at NULL). Times are of the calls.
-- Parameters: project, writer (of the scores: 'live' for scorers, 'reviews' for people, 'outcomes' for what clients say
-- became of calls), apps, below (of each app), release (NULL: all), since, until, bucket_us. Buckets begin at multiples
-- of it.
-- Only calls in the sample count, whose hashes are below: of a rollout's calls more are scored, and those that users voted
-- down are reviewed because something is wrong with them; a mean over these says nothing of the rest.
-- `variance` is that of the mean, users (else sessions, else traces) being independent of each other.
WITH asked AS (
    SELECT unnest($apps::VARCHAR[]) AS app, unnest($below::VARCHAR[]) AS below
),
wanted AS (
    SELECT app, started_at // $bucket_us * $bucket_us AS bucket_at, name, unit, trace_id, value
    FROM {judgements} JOIN asked USING (app)
    WHERE CASE WHEN $writer = 'outcomes' THEN kind = 'outcome' ELSE key_id = $writer AND kind <> 'user' END
        AND arm = 'live' AND value IS NOT NULL AND place < below
        AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
),
-- Several people may judge a call, a scorer does so once.
judged AS (
    SELECT app, bucket_at, name, unit, value FROM wanted WHERE $writer = 'live'
    UNION ALL
    SELECT app, bucket_at, name, unit, avg(value) FROM wanted WHERE $writer <> 'live'
    GROUP BY app, bucket_at, name, unit, trace_id
),
by_bucket AS (
    SELECT app, bucket_at, name, unit, sum(value) AS total, count(*) AS calls, min(value) AS least, max(value) AS most
    FROM judged
    GROUP BY app, bucket_at, name, unit
),
said AS (
    SELECT * FROM by_bucket
    UNION ALL
    SELECT app, NULL, name, unit, sum(total), sum(calls), min(least), max(most) FROM by_bucket GROUP BY app, name, unit
),
summed AS (
    SELECT app, bucket_at, name, sum(total) / sum(calls) AS value, sum(calls)::BIGINT AS calls, count(*) AS units,
        min(least) AS least, max(most) AS most,
        sum(total ** 2) AS totals, sum(total * calls) AS products, sum(calls ** 2) AS squares
    FROM said
    GROUP BY app, bucket_at, name
)
SELECT app, bucket_at, name, value, calls, units, least, most,
    CASE WHEN units > 1 THEN
        units / (units - 1) * greatest(0, totals - 2 * value * products + value ** 2 * squares) / calls ** 2
    END AS variance
FROM summed
ORDER BY app, name, bucket_at
