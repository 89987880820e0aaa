-- What filters can be set to: a row (facet, value, calls) per distinct app, release, model, provider, status and
-- error_code, arm of the calls in [since, until). A release's value is `<app>#<number>`. Parameters: project, since, until.
WITH counted AS (
    SELECT app, "release", model, provider, status, error_code, arm, sum(calls) AS calls
    FROM {cells}
    GROUP BY ALL
),
facets AS (
    SELECT 'app' AS facet, app AS value, calls FROM counted
    UNION ALL SELECT 'release', app || '#' || "release", calls FROM counted
    UNION ALL SELECT 'model', model, calls FROM counted
    UNION ALL SELECT 'provider', provider, calls FROM counted
    UNION ALL SELECT 'status', status::VARCHAR, calls FROM counted
    UNION ALL SELECT 'error_code', error_code, calls FROM counted
    UNION ALL SELECT 'arm', arm, calls FROM counted
)
SELECT facet, value, sum(calls)::BIGINT AS calls
FROM facets
WHERE value IS NOT NULL
GROUP BY facet, value
ORDER BY facet, calls DESC, value
