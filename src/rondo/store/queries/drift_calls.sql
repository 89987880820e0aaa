-- One live call of each user (else session, else trace) of an app in [since, until), chosen by hashes alone.
-- Who comes often is in any short window, who comes seldom in few: so a long window is cut into slices as long as the
-- short one, and a user is drawn in proportion to the slices in which there are calls of theirs.
-- Parameters: project, app, since, until, slice (its length), limit. Every row tells how many calls and users there were.
-- Who is drawn is found by the narrow columns; the wide ones are read for them only.
WITH asked AS (
    SELECT rowid AS place, trace_id, coalesce(nullif("user", ''), nullif(session, ''), trace_id) AS unit,
        ($until - 1 - started_at) // $slice AS slice
    FROM calls
    WHERE project = $project AND app = $app AND started_at >= $since AND started_at < $until
        AND coalesce(arm, 'live') = 'live' AND wire <> 'embeddings'
),
of_slice AS (
    SELECT unit, slice, arg_min(place, (md5(trace_id), place)) AS place
    FROM asked
    GROUP BY unit, slice
),
of_unit AS (
    SELECT unit, arg_min(place, md5(unit || ' ' || slice)) AS place, count(*) AS slices,
        md5_number_lower(unit) / 18446744073709551616.0 AS luck
    FROM of_slice
    GROUP BY unit
),
chosen AS (
    SELECT place
    FROM of_unit
    WHERE luck * (SELECT max(slices) FROM of_unit) < slices
    ORDER BY luck / slices, unit
    LIMIT $limit
)
SELECT trace_id, left(question, 4000) AS question, length(question) AS question_chars,
    left(answer, 1000) AS answer, length(answer) AS answer_chars, failed, finish_reason, handed_over,
    CASE WHEN contains(output, '"refusal"') THEN left(output, 20000) END AS refusing,
    list_max(try_cast(json_extract(chunks, '$[*].score') AS DOUBLE[])) AS top_score,
    guards::VARCHAR AS guards,
    (SELECT count(*) FROM asked) AS calls, (SELECT count(*) FROM of_unit) AS units
FROM calls
WHERE project = $project AND rowid IN (SELECT place FROM chosen)
ORDER BY trace_id, span_id
