-- Which solutions of a problem say the same, and which one of them stays.
-- $by = 'text': the same text. $by = 'equations': for correct solutions, the same computations in the same order.
-- The lowest rank survives: a solution that ended by itself, then what $keep prefers, then the order of the table; the
-- three in one number, since the least of numbers is found far faster than the least of rows.
WITH keyed AS (
    SELECT solution_id, problem_id, position, text_key,
           $by = 'equations' AND correct AS computed,
           CASE WHEN computed THEN equation_key ELSE text_key END AS key,
           CASE $keep WHEN 'shortest' THEN characters WHEN 'longest' THEN 4194303 - characters ELSE 0 END AS preference,
           ((NOT complete)::BIGINT << 62) + (greatest(0, least(4194303, preference)) << 40) + position AS rank
    FROM sample
), repeated AS (
    SELECT problem_id, computed, key, min(rank) AS rank FROM keyed GROUP BY ALL HAVING count(*) > 1
), survivor AS (
    SELECT * FROM keyed SEMI JOIN repeated USING (problem_id, computed, key, rank)
)
SELECT keyed.solution_id, survivor.solution_id AS survivor_id,
       CASE WHEN keyed.text_key = survivor.text_key THEN 'text' ELSE 'equations' END AS reason
FROM keyed JOIN survivor USING (problem_id, computed, key)
WHERE keyed.rank <> survivor.rank
ORDER BY keyed.position
