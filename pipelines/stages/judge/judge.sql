-- One row a problem: the solutions that the judge reads. For each generator and verdict they are a simple random
-- sample, drawn by hash, so that a larger sample holds the smaller one. Duplicates count: measures are taken over
-- samples before deduplication.
WITH ranked AS (
    SELECT problem_id, solution_id, solution, verdict, row_number() OVER (
        PARTITION BY generator, verdict ORDER BY md5($seed || solution_id)
    ) AS number
    FROM solutions JOIN verdicts USING (solution_id) WHERE verdict IN ('correct', 'incorrect')
), chosen AS (
    SELECT problem_id, list({solution_id: solution_id, solution: solution} ORDER BY solution_id) AS solutions
    FROM ranked
    WHERE number <= coalesce(CASE verdict WHEN 'correct' THEN $correct::BIGINT ELSE $incorrect::BIGINT END, number)
    GROUP BY problem_id
)
SELECT problem_id, problem, answer, reference_solution, solutions, problems.file_row_number AS position
FROM problems JOIN chosen USING (problem_id)
