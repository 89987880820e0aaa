-- A page of scores, newest first, with what they judge. Parameters: project, limit. Filters: scores.
WITH page AS (
    SELECT *
    FROM scores
    WHERE project = $project AND {where:scores}
    ORDER BY created_at DESC, id DESC
    LIMIT $limit
),
judged AS (
    SELECT trace_id, arg_max(app, started_at) AS app, arg_max("release", started_at) AS "release",
        arg_max(left(question, 200), started_at) AS question, arg_max(left(answer, 200), started_at) AS answer
    FROM calls
    WHERE project = $project AND trace_id IN (SELECT trace_id FROM page)
    GROUP BY trace_id
)
SELECT page.* EXCLUDE (arrival), app, "release", question, answer
FROM page LEFT JOIN judged USING (trace_id)
ORDER BY created_at DESC, id DESC
