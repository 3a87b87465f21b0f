-- The groups of problems by level, subject and source, the largest of a kind first. Groups behind the largest of a kind
-- are measured on their own and together, so that a manifest and a card can show the largest and the others as one.
-- `shown` names what they show.
CREATE TEMP VIEW named AS
SELECT problem_id, unnest(['level', 'subject', 'source']) AS "by", unnest([level, subject, source]) AS "group"
FROM problems;
CREATE TEMP TABLE ranked AS
WITH sized AS (SELECT "by", "group", count(*) AS problems FROM named WHERE "group" IS NOT NULL GROUP BY ALL)
SELECT "by", "group", row_number() OVER (PARTITION BY "by" ORDER BY problems DESC, "group") AS place,
       count(*) OVER (PARTITION BY "by") AS groups
FROM sized;
CREATE TEMP TABLE shown AS
SELECT 'all' AS "by", 'all' AS "group"
UNION
SELECT "by", CASE WHEN place <= getvariable('most_groups') THEN "group"
                  ELSE 'the other ' || (groups - getvariable('most_groups')) END FROM ranked;
