-- The groups that a problem is measured in: all of them, and those of its level, subject and source where these differ.
-- Groups behind the largest of a kind are measured on their own and together, so that a manifest and a card can
-- show the largest and the others as one. `shown` names what they show.
CREATE TEMP TABLE named AS
SELECT problem_id, unnest(['level', 'subject', 'source']) AS "by", unnest([level, subject, source]) AS "group"
FROM problems;
CREATE TEMP TABLE ranked AS
WITH sized AS (SELECT "by", "group", count(*) AS problems FROM named WHERE "group" IS NOT NULL GROUP BY ALL)
SELECT "by", "group", row_number() OVER (PARTITION BY "by" ORDER BY problems DESC, "group") AS place,
       count(*) OVER (PARTITION BY "by") AS groups
FROM sized;
CREATE TEMP TABLE grouping AS
SELECT problem_id, 'all' AS "by", 'all' AS "group" FROM problems
UNION ALL
SELECT problem_id, "by", "group" FROM named JOIN ranked USING ("by", "group") WHERE groups > 1
UNION ALL
SELECT problem_id, "by", 'the other ' || (groups - getvariable('most_groups'))
FROM named JOIN ranked USING ("by", "group") WHERE place > getvariable('most_groups');
CREATE TEMP TABLE shown AS
SELECT 'all' AS "by", 'all' AS "group"
UNION
SELECT "by", CASE WHEN place <= getvariable('most_groups') THEN "group"
                  ELSE 'the other ' || (groups - getvariable('most_groups')) END FROM ranked;
