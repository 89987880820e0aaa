-- The tokens of the calls in [since, until) that have any, and what those calls cost: a row per provider and model.
-- Parameters: project, since, until. Filters: cells. Calls without known tokens are counted apart.
SELECT provider, model,
    sum(calls)::BIGINT AS calls,
    (sum(calls) - sum(tokens_known))::BIGINT AS without_tokens,
    coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens,
    coalesce(sum(cache_read_tokens), 0)::BIGINT AS cache_read_tokens,
    coalesce(sum(cache_write_tokens), 0)::BIGINT AS cache_write_tokens,
    coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens,
    coalesce(sum(reasoning_tokens), 0)::BIGINT AS reasoning_tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    coalesce(sum(cache_hits), 0)::BIGINT AS cache_hits
FROM {cells}
WHERE {where:cells}
GROUP BY ALL
ORDER BY cost_usd DESC NULLS LAST, provider, model
