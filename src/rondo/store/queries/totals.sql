-- One row over all live calls in [since, until). Parameters: project, since, until.
SELECT
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    count(cost_usd) AS cost_known,
    count(*) - count(cost_usd) AS cost_unknown,
    count(*) FILTER (WHERE handed_over) AS handed_over,
    min(started_at) AS first_call_at,
    max(started_at) AS last_call_at,
    (SELECT count(*) FROM scores WHERE project = $project AND kind = 'user'
        AND created_at >= $since AND created_at < $until) AS feedback
FROM calls
WHERE project = $project AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
