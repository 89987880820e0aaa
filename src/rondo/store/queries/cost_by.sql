-- What calls in [since, until) cost, the dearest first: a row per model, provider, app, release (`<app>#<number>`) or key.
-- Parameters: project, since, until, by, limit. Filters: cells. cost_usd is NULL where no cost is known.
SELECT CASE $by
        WHEN 'model' THEN model
        WHEN 'provider' THEN provider
        WHEN 'app' THEN app
        WHEN 'release' THEN app || '#' || "release"
        WHEN 'key' THEN key_id
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
ORDER BY cost_usd DESC NULLS LAST, calls DESC, name
LIMIT $limit
