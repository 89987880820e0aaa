-- The traces of the newest calls and spans that fit, as many as $reach: a row for each, of its first among them.
-- Parameters: project, reach, gap_us. Filters: told, place.
-- `begins` tells that nothing earlier in the trace fits, up to gap_us before; `fitting` counts its calls and spans here.
-- The name of a call is what it asked for, an app or a model. Copies for a shadow and calls of evaluations are no traces
-- of anybody's.
WITH near AS MATERIALIZED (
    (SELECT trace_id, span_id, started_at
    FROM (
        SELECT *, arm = 'traced' AS from_outside, requested_model AS name
        FROM calls
        WHERE project = $project AND coalesce(arm, 'live') IN ('live', 'traced')
    )
    WHERE {where:told} AND {where:place}
    ORDER BY started_at DESC, trace_id DESC, span_id DESC
    LIMIT $reach)
    UNION ALL
    (SELECT trace_id, span_id, started_at
    FROM (SELECT *, status = 'error' AS failed, TRUE AS from_outside FROM trace_spans WHERE project = $project)
    WHERE {where:told} AND {where:place}
    ORDER BY started_at DESC, trace_id DESC, span_id DESC
    LIMIT $reach)
    ORDER BY started_at DESC, trace_id DESC, span_id DESC
    LIMIT $reach
),
first AS MATERIALIZED (
    SELECT trace_id, min((started_at, span_id)) AS place, count(*) AS fitting FROM near GROUP BY trace_id
),
told AS (
    SELECT trace_id, span_id, started_at
    FROM (
        SELECT *, arm = 'traced' AS from_outside, requested_model AS name
        FROM calls
        WHERE project = $project AND coalesce(arm, 'live') IN ('live', 'traced')
            AND started_at >= (SELECT min(started_at) - $gap_us FROM near)
            AND started_at <= (SELECT max(started_at) FROM near)
            AND trace_id IN (SELECT trace_id FROM first)
    )
    WHERE {where:told}
    UNION ALL
    SELECT trace_id, span_id, started_at
    FROM (
        SELECT *, status = 'error' AS failed, TRUE AS from_outside
        FROM trace_spans
        WHERE project = $project
            AND started_at >= (SELECT min(started_at) - $gap_us FROM near)
            AND started_at <= (SELECT max(started_at) FROM near)
            AND trace_id IN (SELECT trace_id FROM first)
    )
    WHERE {where:told}
),
earlier AS (
    SELECT DISTINCT trace_id
    FROM told JOIN first USING (trace_id)
    WHERE (told.started_at, told.span_id) < place AND told.started_at >= place[1] - $gap_us
)
SELECT trace_id, place[1] AS started_at, place[2] AS span_id, fitting, trace_id NOT IN (SELECT trace_id FROM earlier) AS begins
FROM first
ORDER BY started_at DESC, trace_id DESC
