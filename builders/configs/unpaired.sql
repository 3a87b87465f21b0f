SELECT problem_id, solution_id, prompt, solution AS completion, label, split
FROM (
    SELECT problem_id, solution_id, prompt, solution, true AS label, split, position FROM positive
    UNION ALL
    SELECT problem_id, solution_id, prompt, solution, false, split, position FROM negative
)
ORDER BY position, solution_id
