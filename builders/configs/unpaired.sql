SELECT problem_id, solution_id, prompt, solution AS completion, label, sound, split
FROM (
    SELECT problem_id, solution_id, prompt, solution, true AS label, sound, split, position FROM positive
    UNION ALL
    SELECT problem_id, solution_id, prompt, solution, false, NULL, split, position FROM negative
)
ORDER BY position, solution_id
