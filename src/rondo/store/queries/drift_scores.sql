-- Scores of an app's live calls in [since, until): of each name one of each user, drawn as `drift_calls` draws calls; the
-- commonest names. Parameters: project, app, since, until, slice, names, limit.
WITH asked AS (
    SELECT trace_id, min(coalesce(nullif("user", ''), nullif(session, ''), trace_id)) AS unit,
        ($until - 1 - min(started_at)) // $slice AS slice
    FROM calls
    WHERE project = $project AND app = $app AND started_at >= $since AND started_at < $until
        AND coalesce(arm, 'live') = 'live' AND wire <> 'embeddings'
    GROUP BY trace_id
),
of_slice AS (
    SELECT name, unit, slice, arg_min({'trace_id': trace_id, 'value': value, 'label': label}, md5(trace_id || id)) AS one
    FROM scores JOIN asked USING (trace_id)
    WHERE project = $project AND trace_id >= (SELECT min(trace_id) FROM asked)
    GROUP BY name, unit, slice
),
said AS (
    SELECT name, unit, arg_min(one, md5(unit || ' ' || slice)) AS one, count(*) AS slices,
        md5_number_lower(unit) / 18446744073709551616.0 AS luck
    FROM of_slice
    GROUP BY name, unit
),
known AS (
    SELECT name FROM said GROUP BY name ORDER BY count(*) DESC, name LIMIT $names
)
SELECT name, one.trace_id AS trace_id, one.value AS value, one.label AS label
FROM said
WHERE name IN (SELECT name FROM known)
QUALIFY luck * max(slices) OVER (PARTITION BY name) < slices
    AND row_number() OVER (PARTITION BY name ORDER BY luck / slices, unit) <= $limit
ORDER BY name, trace_id
