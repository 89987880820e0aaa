-- Where traces stand among the newest calls and spans that fit, of which as many as $reach are gone through.
-- Parameters: project, reach, gap_us. Filters: told, place.
-- A trace stands where one of its own fits (`begins`) and none did in the gap_us before; after a silence it stands anew.
-- The last that was gone through is a row in any case; `gone_through` counts them all.
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
ends AS MATERIALIZED (
    SELECT min((started_at, trace_id, span_id)) AS lowest, max((started_at, trace_id, span_id)) AS highest,
        count(*) AS gone_through
    FROM near
),
told AS (
    SELECT trace_id, span_id, started_at
    FROM (
        SELECT *, arm = 'traced' AS from_outside, requested_model AS name
        FROM calls
        WHERE project = $project AND coalesce(arm, 'live') IN ('live', 'traced')
            AND started_at >= (SELECT min(started_at) - $gap_us FROM near)
            AND started_at <= (SELECT max(started_at) FROM near)
            AND trace_id IN (SELECT trace_id FROM near)
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
            AND trace_id IN (SELECT trace_id FROM near)
    )
    WHERE {where:told}
),
placed AS (
    SELECT *, (started_at, trace_id, span_id) AS place,
        lag(started_at) OVER (PARTITION BY trace_id ORDER BY started_at, span_id) AS earlier
    FROM told
)
SELECT trace_id, started_at, span_id, gone_through,
    earlier IS NULL OR earlier < started_at - $gap_us AS begins
FROM placed, ends
WHERE place >= lowest AND place <= highest AND (earlier IS NULL OR earlier < started_at - $gap_us OR place = lowest)
ORDER BY started_at DESC, trace_id DESC, span_id DESC
