SELECT problem_id, solution_id, prompt, completions, labels, "values", rollouts, split
FROM (
    SELECT problem_id, solution_id, any_value(prompt) AS prompt, list(step ORDER BY step_index) AS completions,
           list(q > 0 ORDER BY step_index) AS labels, list(q ORDER BY step_index) AS "values",
           list(rollouts ORDER BY step_index) AS rollouts, any_value(split) AS split, any_value(position) AS position
    FROM step GROUP BY problem_id, solution_id HAVING bool_and(q IS NOT NULL)
)
ORDER BY position, solution_id
