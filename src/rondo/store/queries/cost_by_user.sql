-- What calls in [since, until) cost by user, the dearest first. Parameters: project, since, until, limit. Filters: narrow.
-- The dearest are found by number, and only their names and further sums are read.
WITH dearest AS (
    SELECT user_number
    FROM {users}
    WHERE {where:narrow}
    GROUP BY user_number
    ORDER BY sum(cost_usd) DESC NULLS LAST, sum(calls) DESC, user_number
    LIMIT $limit
)
SELECT any_value("user") AS name,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(tokens)::BIGINT AS tokens,
    sum(cost_usd) AS cost_usd,
    (sum(calls) - sum(cost_known))::BIGINT AS cost_unknown,
    NULL::DOUBLE AS saved_usd
FROM {users}
WHERE user_number IN (SELECT user_number FROM dearest) AND {where:narrow}
GROUP BY user_number
ORDER BY cost_usd DESC NULLS LAST, calls DESC, name
