-- What the callers of a rollout tell of the metrics that come with the calls themselves: a row per side, each column a
-- list with an entry per caller. `entered` is since when a caller counts, `place` breaks ties; they give the order.
-- Parameters: project, app, rollout, since, now, by_session, window, settle (microseconds), metrics (one a line; the
-- lists of others are NULL).
-- A caller is a user, a session or a trace, and belongs to the side of its first call; its value is the mean over its
-- calls in the `window` after that one, and of durations one of those calls, chosen by an id that means nothing.
-- It counts once the window has been over for `settle`, and does not change from then on.
-- Answers from the cache have no values: they repeat one that counted already, for as many callers as ask the same.
WITH mine AS MATERIALIZED (
    SELECT
        hash(CASE WHEN $by_session THEN coalesce(nullif(session, ''), nullif("user", ''), trace_id)
            ELSE coalesce(nullif("user", ''), nullif(session, ''), trace_id) END) AS unit,
        variant = 'candidate' AS ours, started_at, hash(span_id) AS lot,
        failed, duration_ms, first_token_ms, cost_usd, tokens, handed_over, cache IS NULL AS made
    FROM calls
    WHERE project = $project AND app = $app AND rollout = $rollout AND started_at >= $since
        AND coalesce(arm, 'live') = 'live' AND variant IS NOT NULL
),
ripe AS (
    SELECT unit, arg_min(ours, started_at) AS ours, min(started_at) AS began
    FROM mine
    GROUP BY unit
    HAVING began <= $now - $window - $settle
),
told AS (
    SELECT unit, any_value(ours) AS ours, any_value(began) + $window + $settle AS entered,
        avg(failed::INTEGER) AS failed,
        arg_min(duration_ms, lot) FILTER (WHERE NOT failed) AS duration,
        arg_min(first_token_ms, lot) FILTER (WHERE NOT failed) AS first_token,
        avg(cost_usd) AS cost,
        avg(tokens) AS tokens,
        avg(handed_over::INTEGER) FILTER (WHERE NOT failed) AS handed_over
    FROM mine JOIN ripe USING (unit, ours)
    WHERE started_at <= began + $window AND made
    GROUP BY unit
),
wanted AS (
    SELECT string_split($metrics, chr(10)) AS names
)
SELECT CASE WHEN ours THEN 'candidate' ELSE 'baseline' END AS variant, list(entered) AS entered, list(unit) AS place,
    list(failed) FILTER (WHERE list_contains(names, 'errors.rate')) AS "errors.rate",
    list(duration) FILTER (WHERE list_contains(names, 'latency.p50_ms')) AS "latency.p50_ms",
    list(duration) FILTER (WHERE list_contains(names, 'latency.p95_ms')) AS "latency.p95_ms",
    list(first_token) FILTER (WHERE list_contains(names, 'first_token.p95_ms')) AS "first_token.p95_ms",
    list(cost) FILTER (WHERE list_contains(names, 'cost.per_request_usd')) AS "cost.per_request_usd",
    list(tokens) FILTER (WHERE list_contains(names, 'tokens.per_request')) AS "tokens.per_request",
    list(handed_over) FILTER (WHERE list_contains(names, 'handed_over.rate')) AS "handed_over.rate",
    list(1 - handed_over) FILTER (WHERE list_contains(names, 'deflection')) AS deflection
FROM told, wanted
GROUP BY ours
