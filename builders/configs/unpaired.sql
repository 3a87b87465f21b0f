SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete, label, soundness, checked_by, origin,
       split
FROM (
    SELECT *, true AS label FROM positive
    UNION ALL BY NAME
    SELECT *, false AS label FROM negative
)
ORDER BY position, solution_id
