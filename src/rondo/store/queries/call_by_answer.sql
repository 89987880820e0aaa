-- The live call whose answer has this id: the trace's own, or, in a trace of the client's, one made of time and span.
-- Parameters: project, answer_id, span_id, since, until.
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND trace_id = $answer_id AND parent_span_id IS NULL AND coalesce(arm, 'live') = 'live'
UNION ALL
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND span_id = $span_id AND started_at >= $since AND started_at < $until
    AND parent_span_id IS NOT NULL AND coalesce(arm, 'live') = 'live'
LIMIT 1
