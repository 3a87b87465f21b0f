-- Advantage-weighted regression: w = min(exp(A / beta), w_max) for each step, scaled so that their mean is 1.
WITH raw AS (
    SELECT *, least(exp(advantage / getvariable('weight_beta')), getvariable('weight_max')) AS weight
    FROM step
    QUALIFY bool_and(advantage IS NOT NULL) OVER (PARTITION BY solution_id)
), scaled AS (
    SELECT *, weight / (SELECT avg(weight ORDER BY solution_id, step_index) FROM raw) AS w FROM raw
)
SELECT problem_id, solution_id, prompt, completion, complete, ends, weights, split
FROM (
    SELECT problem_id, solution_id, any_value(prompt) AS prompt, any_value(solution) AS completion,
           any_value(complete) AS complete, list("end" ORDER BY step_index) AS ends,
           list(w ORDER BY step_index) AS weights, any_value(split) AS split, any_value(position) AS position
    FROM scaled GROUP BY problem_id, solution_id
)
ORDER BY position, solution_id
