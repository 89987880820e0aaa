-- What the callers of a rollout tell of the metrics that scores feed: a row per metric and side, as rollout_units.sql
-- has them; `entered`, `place` and `values` have an entry per caller.
-- Parameters: project, app, rollout, since, now, by_session, window, settle, maturity (microseconds),
-- metrics (names, one a line; `feedback.positive_rate` is all that users said with yes or no).
-- A caller counts `maturity` after its window, or with its first score where that comes later. What is said of its calls
-- after that moment does not change it any more. Scores of one call are averaged before the calls are.
-- Answers from the cache do not count: they repeat one that counted already, for as many callers as ask the same.
WITH mine AS MATERIALIZED (
    SELECT
        hash(CASE WHEN $by_session THEN coalesce(nullif(session, ''), nullif("user", ''), trace_id)
            ELSE coalesce(nullif("user", ''), nullif(session, ''), trace_id) END) AS unit,
        variant = 'candidate' AS ours, started_at, trace_id, cache IS NULL AS made
    FROM calls
    WHERE project = $project AND app = $app AND rollout = $rollout AND started_at >= $since
        AND coalesce(arm, 'live') = 'live' AND variant IS NOT NULL
),
ripe AS (
    SELECT unit, arg_min(ours, started_at) AS ours, min(started_at) AS began
    FROM mine
    GROUP BY unit
    HAVING began <= $now - $window - $settle - $maturity
),
traces AS (
    SELECT trace_id, unit, any_value(ours) AS ours, any_value(began) + $window + $settle + $maturity AS ripe_at
    FROM mine JOIN ripe USING (unit, ours)
    WHERE started_at <= began + $window AND made
    GROUP BY trace_id, unit
),
wanted AS (
    SELECT unnest(string_split($metrics, chr(10))) AS metric
),
judged AS (
    SELECT name AS metric, trace_id, value, created_at
    FROM scores
    WHERE project = $project AND created_at >= $since AND value IS NOT NULL AND name IN (SELECT metric FROM wanted)
    UNION ALL
    SELECT 'feedback.positive_rate', trace_id, (verdict > 0)::INTEGER, created_at
    FROM scores
    WHERE project = $project AND created_at >= $since AND kind = 'user' AND verdict <> 0
        AND 'feedback.positive_rate' IN (SELECT metric FROM wanted)
),
said AS MATERIALIZED (
    SELECT metric, unit, ours, ripe_at, hash(trace_id) AS trace, value, created_at
    FROM judged JOIN traces USING (trace_id)
),
counting AS (
    SELECT metric, unit, greatest(any_value(ripe_at), min(created_at)) AS entered
    FROM said
    GROUP BY metric, unit
    HAVING entered <= $now
),
calls_told AS (
    SELECT metric, unit, any_value(ours) AS ours, any_value(entered) AS entered, avg(value) AS value
    FROM said JOIN counting USING (metric, unit)
    WHERE created_at <= entered
    GROUP BY metric, unit, trace
),
told AS (
    SELECT metric, unit, any_value(ours) AS ours, any_value(entered) AS entered, avg(value) AS value
    FROM calls_told
    GROUP BY metric, unit
)
SELECT metric, CASE WHEN ours THEN 'candidate' ELSE 'baseline' END AS variant,
    list(entered) AS entered, list(unit) AS place, list(value) AS "values"
FROM told
GROUP BY metric, ours
