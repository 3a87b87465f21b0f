-- One row a problem: the solutions that the judge reads. For each generator and verdict they are a simple random
-- sample, drawn by hash, so that a larger sample holds the smaller one: `cut` has the last hash of each sample, where
-- there are more solutions than it takes, so a bucket of problems gives its rows of the whole; duplicates count there, since measures are taken
-- over samples before deduplication. Others are read because their steps are valued, as annotate.sql takes them; rates
-- leave those out, since they are not drawn evenly.
WITH ranked AS (
    SELECT problem_id, solution_id, solution, verdict,
           coalesce(CASE verdict WHEN 'correct' THEN $correct::BIGINT ELSE $incorrect::BIGINT END > 0, true)
               AND coalesce(md5($seed || solution_id) <= last, true) AS sampled
    FROM solutions JOIN verdicts USING (solution_id) LEFT JOIN cut USING (generator, verdict)
    WHERE verdict IN ('correct', 'incorrect')
), valued AS (
    SELECT solution_id
    FROM solutions JOIN verdicts USING (solution_id) ANTI JOIN duplicates USING (solution_id)
    WHERE complete IS NOT FALSE AND verdict IN ('correct', 'incorrect')
    QUALIFY row_number() OVER (PARTITION BY problem_id, verdict ORDER BY md5($seed || solution_id))
        <= CASE verdict WHEN 'correct' THEN $positives ELSE $negatives END
), chosen AS (
    SELECT problem_id, list({solution_id: solution_id, solution: solution, sampled: sampled} ORDER BY solution_id)
               AS solutions
    FROM ranked WHERE sampled OR solution_id IN (FROM valued)
    GROUP BY problem_id
)
SELECT problem_id, problem, answer, reference_solution, solutions, problems.file_row_number AS position
FROM problems JOIN chosen USING (problem_id)
