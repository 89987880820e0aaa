-- The tokens of the calls in [since, until), and what these calls cost: a row per provider and model. Answers without
-- known tokens, and of unknown cost, are counted apart from calls that failed or were left: of those, neither is known.
-- Parameters: project, since, until. Filters: cells.
SELECT provider, model,
    sum(calls)::BIGINT AS calls,
    coalesce(sum(calls - tokens_known) FILTER (NOT failed AND error_code IS NULL), 0)::BIGINT AS without_tokens,
    coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens,
    coalesce(sum(cache_read_tokens), 0)::BIGINT AS cache_read_tokens,
    coalesce(sum(cache_write_tokens), 0)::BIGINT AS cache_write_tokens,
    coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens,
    coalesce(sum(reasoning_tokens), 0)::BIGINT AS reasoning_tokens,
    sum(cost_usd) AS cost_usd,
    coalesce(sum(calls - cost_known) FILTER (NOT failed AND error_code IS NULL), 0)::BIGINT AS cost_unknown,
    coalesce(sum(calls - cost_known) FILTER (failed OR error_code IS NOT NULL), 0)::BIGINT AS failed_unknown,
    coalesce(sum(cache_hits), 0)::BIGINT AS cache_hits
FROM {cells}
WHERE {where:cells}
GROUP BY ALL
ORDER BY cost_usd DESC NULLS LAST, provider, model
