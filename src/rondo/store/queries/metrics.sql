-- Counters over all calls of a project, for Prometheus: a row per app, release, model, status and arm.
-- Parameters: project, since (0: all there are), until. `le_N`: calls that took at most N milliseconds; `first_le_N`:
-- calls whose first token came within N milliseconds.
SELECT app, "release", model, status, arm,
    sum(calls)::BIGINT AS calls,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    sum(saved_usd) AS saved_usd,
    sum(cache_hits)::BIGINT AS cache_hits,
    sum(duration_ms) AS duration_ms,
    sum(le_10)::BIGINT AS le_10,
    sum(le_25)::BIGINT AS le_25,
    sum(le_50)::BIGINT AS le_50,
    sum(le_100)::BIGINT AS le_100,
    sum(le_250)::BIGINT AS le_250,
    sum(le_500)::BIGINT AS le_500,
    sum(le_1000)::BIGINT AS le_1000,
    sum(le_2500)::BIGINT AS le_2500,
    sum(le_5000)::BIGINT AS le_5000,
    sum(le_10000)::BIGINT AS le_10000,
    sum(le_30000)::BIGINT AS le_30000,
    sum(first_tokens)::BIGINT AS first_tokens,
    sum(first_token_ms) AS first_token_ms,
    sum(first_le_10)::BIGINT AS first_le_10,
    sum(first_le_25)::BIGINT AS first_le_25,
    sum(first_le_50)::BIGINT AS first_le_50,
    sum(first_le_100)::BIGINT AS first_le_100,
    sum(first_le_250)::BIGINT AS first_le_250,
    sum(first_le_500)::BIGINT AS first_le_500,
    sum(first_le_1000)::BIGINT AS first_le_1000,
    sum(first_le_2500)::BIGINT AS first_le_2500,
    sum(first_le_5000)::BIGINT AS first_le_5000,
    sum(first_le_10000)::BIGINT AS first_le_10000,
    sum(first_le_30000)::BIGINT AS first_le_30000
FROM {cells}
GROUP BY app, "release", model, status, arm
ORDER BY ALL
