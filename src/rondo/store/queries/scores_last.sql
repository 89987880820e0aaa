-- The place of the last score that was written; 0 where there is none. Parameters: project.
SELECT coalesce(max(arrival), 0)::BIGINT AS arrival
FROM scores
WHERE project = $project
