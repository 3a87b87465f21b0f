SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete, soundness, checked_by, pit,
       pit_index, fall_low, origin, split
FROM negative ORDER BY position, solution_id
