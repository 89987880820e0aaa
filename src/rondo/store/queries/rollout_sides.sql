-- The calls of each side of a rollout, live ones and copies for a shadow, over spans of time that end now: a row per
-- span, side and arm, each with callers, failures, timeouts, and what the calls with a known price cost.
-- Parameters: project, app, rollout, since, now, by_session, spans (lengths in microseconds, one a line; 0: all of it),
-- counts_after, matures_after (microseconds after a caller's first call).
-- A call counts in a span by its end. What ended after `now` was timed by another clock, and counts as well.
-- `cached` answers ask no model: they neither fail nor cost, and are no call for a share or a price.
-- A caller belongs to the side of its first call. `fresh` of them do not count yet, `immature` not for what scores tell.
WITH mine AS MATERIALIZED (
    SELECT
        hash(CASE WHEN $by_session THEN coalesce(nullif(session, ''), nullif("user", ''), trace_id)
            ELSE coalesce(nullif("user", ''), nullif(session, ''), trace_id) END) AS unit,
        coalesce(variant, 'candidate') = 'candidate' AS ours, coalesce(arm, 'live') = 'shadow' AS shadow, started_at,
        started_at + (duration_ms * 1000)::BIGINT AS ended_at,
        failed, failed AND error_code = 'upstream_timeout' AS timed_out, cache IS NOT NULL AS cached,
        CASE WHEN cache IS NULL THEN cost_usd END AS cost_usd
    FROM calls
    WHERE project = $project AND app = $app AND rollout = $rollout AND started_at >= $since
        AND coalesce(arm, 'live') IN ('live', 'shadow')
),
callers AS (
    SELECT ours, shadow, count(*) AS units,
        count(*) FILTER (WHERE began > $now - $counts_after) AS fresh,
        count(*) FILTER (WHERE began > $now - $matures_after) AS immature
    FROM (SELECT shadow, arg_min(ours, started_at) AS ours, min(started_at) AS began FROM mine GROUP BY unit, shadow)
    GROUP BY ours, shadow
),
spans AS (
    SELECT unnest(string_split($spans, chr(10)))::BIGINT AS span
),
counted AS (
    SELECT span, ours, shadow, count(*) AS calls, count(*) FILTER (WHERE cached) AS cached,
        count(*) FILTER (WHERE failed AND NOT cached) AS failed,
        count(*) FILTER (WHERE timed_out AND NOT cached) AS timeouts,
        count(cost_usd) AS priced, coalesce(sum(cost_usd), 0) AS cost, coalesce(var_samp(cost_usd), 0) AS cost_variance
    FROM mine, spans
    WHERE span = 0 OR ended_at >= $now - span
    GROUP BY span, ours, shadow
)
SELECT CASE WHEN ours THEN 'candidate' ELSE 'baseline' END AS variant,
    CASE WHEN shadow THEN 'shadow' ELSE 'live' END AS arm,
    coalesce(units, 0) AS units, coalesce(fresh, 0) AS fresh, coalesce(immature, 0) AS immature, counted.* EXCLUDE (ours, shadow)
FROM counted LEFT JOIN callers USING (ours, shadow)
