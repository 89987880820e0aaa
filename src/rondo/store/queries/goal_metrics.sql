-- One row: the metrics that goals can name, for one app in [since, until), and what they rest on. NULL: not known.
-- Parameters: project, app, release (NULL: all), since, until.
-- Copies for a shadow, evaluations and calls made elsewhere do not count. Latency (to within 2 %) and hand-overs are of
-- answered calls; cost per request is of those with a known price.
WITH answered AS (
    SELECT coalesce(sum(calls), 0)::BIGINT AS calls,
        sum(errors)::BIGINT AS errors,
        sum(cost_usd) AS cost,
        coalesce(sum(cost_known), 0)::BIGINT AS cost_known,
        sum(handed_over_answered)::BIGINT AS handed_over,
        coalesce(sum(handed_over_known), 0)::BIGINT AS handed_over_known
    FROM {cells}
    WHERE arm = 'live' AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
),
counted AS (
    SELECT measure, bucket, sum(calls) AS calls
    FROM {appbuckets}
    WHERE arm = 'live' AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
    GROUP BY ALL
),
ranked AS (
    SELECT *, sum(calls) OVER (PARTITION BY measure ORDER BY bucket) AS upto,
        sum(calls) OVER (PARTITION BY measure) - 1 AS last
    FROM counted
),
latencies AS (
    SELECT {p50:duration} AS p50, {p95:duration} AS p95, {p95:first_token} AS first_token
    FROM ranked
),
judged AS (
    SELECT count(*) AS judgements, count(*) FILTER (WHERE verdict > 0) AS positive
    FROM {judgements}
    WHERE kind = 'user' AND verdict <> 0 AND arm = 'live' AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
)
SELECT
    calls AS "calls.count",
    errors / nullif(calls, 0) AS "errors.rate",
    p50 AS "latency.p50_ms",
    p95 AS "latency.p95_ms",
    first_token AS "first_token.p95_ms",
    cost AS "cost.total_usd",
    cost / nullif(cost_known, 0) AS "cost.per_request_usd",
    calls - cost_known AS "cost.unknown_count",
    handed_over / nullif(handed_over_known, 0) AS "handed_over.rate",
    1 - handed_over / nullif(handed_over_known, 0) AS "deflection",
    handed_over_known AS "handed_over.known_count",
    positive / nullif(judgements, 0) AS "feedback.positive_rate",
    judgements AS "feedback.count"
FROM answered, latencies, judged
