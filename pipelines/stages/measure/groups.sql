-- The groups that a problem is measured in: all of them, and those of its level, subject and source where these differ.
CREATE TEMP TABLE grouping AS
WITH named AS (
    SELECT problem_id, unnest(['level', 'subject', 'source']) AS "by", unnest([level, subject, source]) AS "group"
    FROM problems
)
SELECT problem_id, 'all' AS "by", 'all' AS "group" FROM problems
UNION ALL
SELECT problem_id, "by", "group" FROM named
WHERE "group" IS NOT NULL AND "by" IN (SELECT "by" FROM named GROUP BY ALL HAVING count(DISTINCT "group") > 1)
