-- How many users called in [since, until), to within about 3 % (HyperLogLog). Parameters: project, since, until.
-- Filters: narrow.
SELECT approx_count_distinct(user_number) AS users
FROM {users}
WHERE {where:narrow}
