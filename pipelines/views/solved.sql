-- Which generators solve a problem with the first k samples that the same spending buys ($bought: generator, k), one
-- row a problem. Only problems for which every generator has that many samples; a time-out of the verifier is none.
WITH bought AS (
    SELECT unnest($bought::STRUCT(generator VARCHAR, k BIGINT)[], recursive := true)
), numbered AS (
    SELECT generator, problem_id, verdict = 'correct' AS correct,
           row_number() OVER (PARTITION BY generator, problem_id ORDER BY sample_index) AS number
    FROM solutions JOIN verdicts USING (solution_id)
    WHERE is_outcome(verdict, reason)
), each_side AS (
    SELECT problem_id, generator, count_if(correct) > 0 AS solved
    FROM numbered JOIN bought USING (generator) WHERE number <= k
    GROUP BY problem_id, generator, k HAVING count(*) = k
)
SELECT problem_id, list(generator ORDER BY generator) FILTER (solved) AS solved_by
FROM each_side GROUP BY problem_id
HAVING count(*) = (SELECT count(*) FROM bought)
ORDER BY problem_id
