SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete, pit_index, split
FROM negative ORDER BY position, solution_id
