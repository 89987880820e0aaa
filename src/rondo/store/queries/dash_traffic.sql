-- Load, tokens, cost, savings and hand-overs over time: a row per bucket in [since, until) that has calls.
-- Parameters: project, since, until, bucket_us. Filters: cells. Buckets begin at multiples of bucket_us.
-- Hand-overs are of answered calls of which it is known. cost_usd is NULL where no cost is known.
SELECT begins_at // $bucket_us * $bucket_us AS bucket_at,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(input_tokens)::BIGINT AS input_tokens,
    (coalesce(sum(cache_read_tokens), 0) + coalesce(sum(cache_write_tokens), 0))::BIGINT AS cached_tokens,
    (coalesce(sum(output_tokens), 0) + coalesce(sum(reasoning_tokens), 0))::BIGINT AS output_tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    sum(saved_usd) AS saved_usd,
    sum(cache_hits)::BIGINT AS cache_hits,
    sum(handed_over_answered)::BIGINT AS handed_over,
    sum(handed_over_known)::BIGINT AS handed_over_known
FROM {cells}
WHERE {where:cells}
GROUP BY ALL
ORDER BY bucket_at
