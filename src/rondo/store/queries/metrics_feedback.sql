-- What was said of calls, for Prometheus: a row per app, release, name and kind of score that is for or against.
-- Parameters: project, since (0: all there are), until.
SELECT app, "release", name, kind,
    count(*) FILTER (WHERE verdict > 0) AS positive,
    count(*) FILTER (WHERE verdict < 0) AS negative
FROM {judgements}
WHERE verdict <> 0
GROUP BY ALL
ORDER BY ALL
