-- What calls cost by day (UTC): a row per day in [since, until) with calls, and model, provider, app, release or key, or
-- all together (by: all). Parameters: project, since, until, by. Filters: cells.
SELECT begins_at // 86400000000 * 86400000000 AS day_at,
    CASE $by
        WHEN 'model' THEN model
        WHEN 'provider' THEN provider
        WHEN 'app' THEN app
        WHEN 'release' THEN app || '#' || "release"
        WHEN 'key' THEN key_id
        WHEN 'all' THEN ''
    END AS name,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    sum(saved_usd) AS saved_usd
FROM {cells}
WHERE {where:cells}
GROUP BY ALL
ORDER BY day_at, name
