-- Whole calls, for an export; their spans are a table of their own. Parameters: project. Filters: calls.
SELECT * EXCLUDE (arrival, search_text, failed, tokens)
FROM calls
WHERE project = $project AND {where:calls}
