-- Scores, for an export. Parameters: project. Filters: scores.
SELECT * EXCLUDE (verdict, arrival)
FROM scores
WHERE project = $project AND {where:scores}
