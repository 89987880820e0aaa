-- What calls in [since, until) cost by tag (`<key>=<value>`), the dearest first. A call counts under each of its tags;
-- of a key with very many values in a day, the least used ones are together without a value.
-- Parameters: project, since, until, limit. Filters: narrow.
SELECT tag_key || '=' || coalesce(tag_value, '(others)') AS name,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    NULL::DOUBLE AS saved_usd
FROM {tags}
WHERE {where:narrow}
GROUP BY ALL
ORDER BY cost_usd DESC NULLS LAST, calls DESC, name
LIMIT $limit
