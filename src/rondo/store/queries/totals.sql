-- One row over all live calls in [since, until). Parameters: project, since, until.
SELECT
    coalesce(sum(calls), 0)::BIGINT AS calls,
    coalesce(sum(errors), 0)::BIGINT AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    coalesce(sum(cost_known), 0)::BIGINT AS cost_known,
    coalesce(sum(calls) - sum(cost_known), 0)::BIGINT AS cost_unknown,
    coalesce(sum(handed_over), 0)::BIGINT AS handed_over,
    min(first_at) AS first_call_at,
    max(last_at) AS last_call_at,
    (SELECT count(*) FROM scores WHERE project = $project AND kind = 'user'
        AND created_at >= $since AND created_at < $until) AS feedback
FROM {cells}
WHERE arm = 'live'
