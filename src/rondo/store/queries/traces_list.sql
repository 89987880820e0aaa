-- Traces in short, each as it stands at a place of its own: a row for each that fits every filter.
-- Parameters: project, traces (ids), places (when each stands), before_us, after_us. Filters: also, same.
-- Only what began from before_us before its place until after_us after it is looked at, so that a row is the same
-- whatever is asked for beside it. Names and the like are those of the first that told them, from the root on. Of calls
-- of which one stands under another, the inner one counts, as in a whole trace.
WITH RECURSIVE wanted AS (
    SELECT unnest($traces::VARCHAR[]) AS trace_id, unnest($places::BIGINT[]) AS stands_at
),
told AS (
    SELECT 'call' AS source, stands_at, trace_id, span_id, parent_span_id, coalesce(arm, 'live') AS kind,
        requested_model AS name, started_at, duration_ms, failed, app, "user", session, tags, tokens, cost_usd,
        left(question, 200) AS input, left(answer, 200) AS output, arm = 'traced' AS from_outside
    FROM calls JOIN wanted USING (trace_id)
    WHERE project = $project
        AND started_at >= list_min($places::BIGINT[]) - $before_us
        AND started_at < list_max($places::BIGINT[]) + $after_us
        AND started_at >= stands_at - $before_us AND started_at < stands_at + $after_us
    UNION ALL
    SELECT 'span', stands_at, trace_id, span_id, parent_span_id, kind, name, started_at, duration_ms, status = 'error',
        app, "user", session, tags, NULL, NULL, left("input", 200), left("output", 200), TRUE
    FROM trace_spans JOIN wanted USING (trace_id)
    WHERE project = $project
        AND started_at >= list_min($places::BIGINT[]) - $before_us
        AND started_at < list_max($places::BIGINT[]) + $after_us
        AND started_at >= stands_at - $before_us AND started_at < stands_at + $after_us
),
several AS (SELECT trace_id, stands_at FROM told WHERE source = 'call' GROUP BY ALL HAVING count(*) > 1),
above AS (
    SELECT trace_id, stands_at, parent_span_id AS span_id, 1 AS height
    FROM told JOIN several USING (trace_id, stands_at)
    WHERE source = 'call' AND kind <> 'shadow' AND parent_span_id IS NOT NULL
    UNION
    SELECT trace_id, stands_at, told.parent_span_id, height + 1
    FROM above JOIN told USING (trace_id, stands_at, span_id)
    WHERE told.parent_span_id IS NOT NULL AND height < 64
),
placed AS (
    SELECT *, (parent_span_id IS NOT NULL, started_at, span_id) AS place,
        source = 'call' AND kind <> 'shadow'
            AND (trace_id, stands_at, span_id) NOT IN (SELECT (trace_id, stands_at, span_id) FROM above) AS counts
    FROM told
)
SELECT trace_id, stands_at, min(started_at) AS started_at,
    (max(started_at + duration_ms * 1000) - min(started_at)) / 1000 AS duration_ms,
    arg_min(name, place) AS name, arg_min(CASE WHEN source = 'call' THEN 'call' ELSE kind END, place) AS kind,
    arg_min(app, place) AS app, arg_min("user", place) AS "user", arg_min(session, place) AS session,
    arg_min(tags, place) FILTER (cardinality(tags) > 0) AS tags,
    arg_min("input", place) FILTER ("input" <> '') AS "input",
    arg_max("output", (parent_span_id IS NULL, started_at)) FILTER ("output" <> '') AS "output",
    count(*) FILTER (source = 'span') AS spans, count(*) FILTER (counts) AS calls,
    count(*) FILTER (failed) AS failed, (sum(tokens) FILTER (counts))::BIGINT AS tokens,
    sum(cost_usd) FILTER (counts) AS cost_usd, coalesce(bool_or(from_outside), FALSE) AS from_outside
FROM placed
GROUP BY trace_id, stands_at
HAVING {where:also} AND bool_or({where:same})
