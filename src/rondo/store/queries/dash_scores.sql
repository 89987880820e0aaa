-- Scores over time, by the time of the calls that they judge: a row per bucket in [since, until), name, kind and type,
-- and one over all of it (bucket_at NULL).
-- Parameters: project, since, until, bucket_us. Filters: cells.
-- `positive` counts those in favour, which only booleans can be; `mean` and `variance` are of numbers and booleans.
WITH judged AS (
    SELECT started_at // $bucket_us * $bucket_us AS bucket_at, name, kind, data_type, verdict, value
    FROM {judgements}
    WHERE {where:cells}
)
SELECT bucket_at, name, kind, data_type,
    count(*) AS scores,
    count(*) FILTER (WHERE verdict > 0) AS positive,
    avg(value) AS mean,
    coalesce(var_samp(value), 0) AS variance
FROM judged
GROUP BY GROUPING SETS ((bucket_at, name, kind, data_type), (name, kind, data_type))
ORDER BY name, kind, data_type, bucket_at
