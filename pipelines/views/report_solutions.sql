-- Solutions as the report's browser shows them, the annotated ones first, then in the order of the run.
WITH valued AS (
    SELECT solution_id, list({text: step, q: q, low: q_low, high: q_high, advantage: advantage, rollouts: rollouts,
                              successes: successes, pit: is_pit} ORDER BY step_index) AS steps
    FROM steps GROUP BY solution_id
)
SELECT solution_id, problem_id, problems.problem, problems.answer AS gold, level, subject, solutions.generator,
       solution, verdict, verdicts.answer, verdicts.reason, method, soundness, completion_tokens, duplicates.survivor_id, steps
FROM solutions
JOIN problems USING (problem_id) JOIN verdicts USING (solution_id)
LEFT JOIN duplicates USING (solution_id) LEFT JOIN valued USING (solution_id)
ORDER BY steps IS NULL, solutions.file_row_number
