-- What calls were charged since `since`: a row per day (number since the epoch), key, app and, where `users`, user.
-- Parameters: project, since, users. Each call is rounded to whole nano-dollars by itself, a half to the even one.
-- Copies of requests (shadow) are nobody's expense, and what others tell of (traced) is not ours to limit.
SELECT started_at // 86400000000 AS day, key_id, app,
    CASE WHEN $users THEN "user" END AS "user",
    sum(round_even(coalesce(charged_usd, cost_usd) * 1e9, 0)::BIGINT)::BIGINT AS nano
FROM calls
WHERE project = $project AND started_at >= $since AND coalesce(arm, 'live') NOT IN ('shadow', 'traced')
    AND coalesce(charged_usd, cost_usd) > 0 AND isfinite(coalesce(charged_usd, cost_usd))
GROUP BY ALL
ORDER BY ALL
