-- Which solutions of a problem say the same, and which one of them stays.
-- $by = 'text': equal once white space is folded. $by = 'equations': for correct solutions, the same computations in
-- the same order. The survivor is the first that ended by itself, in the order of the table.
WITH keyed AS (
    SELECT solution_id, problem_id, complete, solutions.file_row_number AS position,
           md5(trim(regexp_replace(solution, '\s+', ' ', 'g'))) AS text_key,
           CASE WHEN $by = 'equations' AND verdict = 'correct' THEN equation_key END AS equation_key
    FROM solutions JOIN verdicts USING (solution_id)
), ranked AS (
    SELECT *, first_value(solution_id) OVER (
        PARTITION BY problem_id, coalesce('e' || equation_key, 't' || text_key)
        ORDER BY complete DESC, position
    ) AS survivor_id
    FROM keyed
)
SELECT duplicate.solution_id, duplicate.survivor_id, duplicate.position,
       CASE WHEN duplicate.text_key = survivor.text_key THEN 'text' ELSE 'equations' END AS reason
FROM ranked AS duplicate JOIN keyed AS survivor ON survivor.solution_id = duplicate.survivor_id
WHERE duplicate.solution_id <> duplicate.survivor_id
ORDER BY duplicate.position
