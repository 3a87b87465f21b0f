SELECT problem_id, solution_id, message('user', prompt) AS prompt, message('assistant', solution) AS completion, label,
       split
FROM (
    SELECT problem_id, solution_id, prompt, solution, true AS label, split, position FROM positive WHERE ended(complete)
    UNION ALL
    SELECT problem_id, solution_id, prompt, solution, false, split, position FROM negative WHERE ended(complete)
)
ORDER BY position, solution_id
