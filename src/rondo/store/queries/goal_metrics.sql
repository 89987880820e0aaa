-- One row: the metrics that goals can name, for one app in [since, until), and what they rest on. NULL: not known.
-- Parameters: project, app, release (NULL: all), since, until.
-- Copies for a shadow and evaluations do not count. Latency and hand-overs are of answered calls; cost per request is of those with a known price.
WITH answered AS (
    SELECT
        count(*) AS calls,
        count(*) FILTER (WHERE failed) AS errors,
        quantile_cont(duration_ms, [0.5, 0.95]) FILTER (WHERE NOT failed) AS durations,
        quantile_cont(first_token_ms, 0.95) FILTER (WHERE NOT failed) AS first_token,
        sum(cost_usd) AS cost,
        count(cost_usd) AS cost_known,
        count(*) FILTER (WHERE handed_over AND NOT failed) AS handed_over,
        count(handed_over) FILTER (WHERE NOT failed) AS handed_over_known
    FROM calls
    WHERE project = $project AND app = $app AND ($release::BIGINT IS NULL OR "release" = $release::BIGINT)
        AND started_at >= $since AND started_at < $until AND coalesce(arm, 'live') = 'live'
),
judgements AS (
    SELECT DISTINCT scores.id, scores.verdict
    FROM scores JOIN calls ON calls.project = scores.project AND calls.trace_id = scores.trace_id
    WHERE scores.project = $project AND scores.kind = 'user' AND scores.verdict <> 0
        AND calls.project = $project AND calls.app = $app
        AND ($release::BIGINT IS NULL OR calls."release" = $release::BIGINT)
        AND calls.started_at >= $since AND calls.started_at < $until AND coalesce(calls.arm, 'live') = 'live'
),
judged AS (
    SELECT count(*) AS judgements, count(*) FILTER (WHERE verdict > 0) AS positive FROM judgements
)
SELECT
    calls AS "calls.count",
    errors / nullif(calls, 0) AS "errors.rate",
    durations[1] AS "latency.p50_ms",
    durations[2] AS "latency.p95_ms",
    first_token AS "first_token.p95_ms",
    cost AS "cost.total_usd",
    cost / nullif(cost_known, 0) AS "cost.per_request_usd",
    calls - cost_known AS "cost.unknown_count",
    handed_over / nullif(handed_over_known, 0) AS "handed_over.rate",
    1 - handed_over / nullif(handed_over_known, 0) AS "deflection",
    handed_over_known AS "handed_over.known_count",
    positive / nullif(judgements, 0) AS "feedback.positive_rate",
    judgements AS "feedback.count"
FROM answered, judged
