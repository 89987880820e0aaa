-- How many calls there were in [since, until), whatever became of them. Parameters: project, app (NULL: all), since, until.
SELECT count(*) AS calls
FROM calls
WHERE project = $project AND ($app::VARCHAR IS NULL OR app = $app) AND started_at >= $since AND started_at < $until
    AND coalesce(arm, 'live') IN ('live', 'traced') AND wire <> 'embeddings'
