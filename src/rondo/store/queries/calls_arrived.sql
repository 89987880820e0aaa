-- Whole calls that were stored at these places. Parameters: project, first, last, arrivals (numbers with commas between).
SELECT * EXCLUDE (search_text, failed, tokens)
FROM calls
WHERE project = $project AND arrival >= $first AND arrival <= $last
    AND arrival IN (SELECT unnest(string_split($arrivals, ','))::BIGINT)
ORDER BY arrival
