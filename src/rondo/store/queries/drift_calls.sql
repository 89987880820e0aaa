-- One live call of each user (else session, else trace) of an app in [since, until), chosen by hashes alone.
-- Parameters: project, app, since, until, limit. Every row tells how many calls and users there were in all.
-- Who is drawn is found by the narrow columns; the wide ones are read for them only.
WITH asked AS (
    SELECT rowid AS place, trace_id, coalesce(nullif("user", ''), nullif(session, ''), trace_id) AS unit
    FROM calls
    WHERE project = $project AND app = $app AND started_at >= $since AND started_at < $until
        AND coalesce(arm, 'live') = 'live' AND wire <> 'embeddings'
),
chosen AS (
    SELECT unit, arg_min(place, md5(trace_id)) AS place
    FROM asked
    GROUP BY unit
    ORDER BY md5(unit)
    LIMIT $limit
)
SELECT trace_id, left(question, 4000) AS question, length(question) AS question_chars,
    left(answer, 1000) AS answer, length(answer) AS answer_chars, failed, finish_reason, handed_over,
    CASE WHEN contains(output, '"refusal"') THEN left(output, 20000) END AS refusing,
    list_max(try_cast(json_extract(chunks, '$[*].score') AS DOUBLE[])) AS top_score,
    guards::VARCHAR AS guards,
    (SELECT count(*) FROM asked) AS calls, (SELECT count(DISTINCT unit) FROM asked) AS units
FROM calls
WHERE project = $project AND rowid IN (SELECT place FROM chosen)
ORDER BY trace_id, span_id
