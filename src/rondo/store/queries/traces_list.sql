-- These traces in short: a row for each that fits every filter.
-- Parameters: project, traces (ids with commas between), since, until. Filters: also, same.
-- Only what began in [since, until) is looked at. Names and the like are those of the first that told them, from the
-- root on. Of calls of which one stands under another, the inner one counts, as in a whole trace.
WITH RECURSIVE wanted AS (SELECT unnest(string_split($traces, ',')) AS trace_id),
told AS (
    SELECT 'call' AS source, trace_id, span_id, parent_span_id, coalesce(arm, 'live') AS kind,
        requested_model AS name, started_at, duration_ms, failed, app, "user", session, tags, tokens, cost_usd,
        left(question, 200) AS input, left(answer, 200) AS output, arm = 'traced' AS from_outside
    FROM calls
    WHERE project = $project AND trace_id IN (SELECT trace_id FROM wanted)
        AND started_at >= $since AND started_at < $until
    UNION ALL
    SELECT 'span', trace_id, span_id, parent_span_id, kind, name, started_at, duration_ms, status = 'error',
        app, "user", session, tags, NULL, NULL, left("input", 200), left("output", 200), TRUE
    FROM trace_spans
    WHERE project = $project AND trace_id IN (SELECT trace_id FROM wanted)
        AND started_at >= $since AND started_at < $until
),
several AS (SELECT trace_id FROM told WHERE source = 'call' GROUP BY trace_id HAVING count(*) > 1),
above AS (
    SELECT trace_id, parent_span_id AS span_id, 1 AS height
    FROM told
    WHERE source = 'call' AND kind <> 'shadow' AND parent_span_id IS NOT NULL
        AND trace_id IN (SELECT trace_id FROM several)
    UNION
    SELECT trace_id, told.parent_span_id, height + 1
    FROM above JOIN told USING (trace_id, span_id)
    WHERE told.parent_span_id IS NOT NULL AND height < 64
),
placed AS (
    SELECT *, (parent_span_id IS NOT NULL, started_at, span_id) AS place,
        source = 'call' AND kind <> 'shadow' AND (trace_id, span_id) NOT IN (SELECT (trace_id, span_id) FROM above)
            AS counts
    FROM told
)
SELECT trace_id, min(started_at) AS started_at,
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
GROUP BY trace_id
HAVING {where:also} AND bool_or({where:same})
