-- One row a problem: the solutions whose steps are to be valued, and the policy's own base samples as a value of the
-- bare problem. Duplicates and truncated solutions are left out; which solutions are taken is decided by their ids. With
-- each solution comes what the judge says of it. It reads nothing but the problem's own rows, so a bucket of problems
-- gives its rows of the whole; what is chosen for the whole run is in choice.py.
WITH kept AS (
    SELECT solutions.*, verdict, judgements.soundness, judgements.first_error, row_number() OVER (
        PARTITION BY problem_id, verdict ORDER BY md5($seed || solution_id)
    ) AS number
    FROM solutions JOIN verdicts USING (solution_id) ANTI JOIN duplicates USING (solution_id)
    LEFT JOIN judgements USING (solution_id)
    WHERE complete IS NOT FALSE AND verdict IN ('correct', 'incorrect')
), chosen AS (
    SELECT problem_id, list({solution_id: solution_id, solution: solution, correct: verdict = 'correct',
                             soundness: soundness, first_error: first_error,
                             completion_ids: CASE WHEN generator_id = $policy THEN completion_ids END}
                            ORDER BY solution_id) AS solutions
    FROM kept WHERE number <= CASE verdict WHEN 'correct' THEN $positives ELSE $negatives END
    GROUP BY problem_id
), base AS (
    SELECT problem_id, count(*) AS rollouts, count(*) FILTER (verdict = 'correct') AS successes
    FROM solutions JOIN verdicts USING (solution_id)
    WHERE generator_id = $policy AND is_outcome(verdict, reason)
    GROUP BY problem_id
)
SELECT problem_id, problem, answer, chosen.solutions, coalesce(base.rollouts, 0)::BIGINT AS base_rollouts,
       coalesce(base.successes, 0)::BIGINT AS base_successes, problems.file_row_number AS position
FROM problems JOIN chosen USING (problem_id) LEFT JOIN base USING (problem_id)
