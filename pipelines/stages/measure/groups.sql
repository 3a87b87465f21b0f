-- The groups that a problem is measured in: all of them, and those of its level, subject and source where these differ,
-- by the ranks of groups among all problems (ranks.sql).
CREATE TEMP VIEW members AS
SELECT problem_id, unnest(['level', 'subject', 'source']) AS "by", unnest([level, subject, source]) AS "group"
FROM problems;
CREATE TEMP TABLE grouping AS
SELECT problem_id, 'all' AS "by", 'all' AS "group" FROM problems
UNION ALL
SELECT problem_id, "by", "group" FROM members JOIN ranked USING ("by", "group") WHERE groups > 1
UNION ALL
SELECT problem_id, "by", 'the other ' || (groups - getvariable('most_groups'))
FROM members JOIN ranked USING ("by", "group") WHERE place > getvariable('most_groups');
