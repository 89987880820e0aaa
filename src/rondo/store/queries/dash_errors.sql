-- Failed calls over time by kind: a row per bucket in [since, until) and error code (or status, where there is none).
-- Parameters: project, since, until, bucket_us. Filters: cells.
SELECT begins_at // $bucket_us * $bucket_us AS bucket_at,
    coalesce(error_code, status::VARCHAR) AS error,
    sum(calls)::BIGINT AS calls
FROM {cells}
WHERE failed AND {where:cells}
GROUP BY ALL
ORDER BY bucket_at, error
