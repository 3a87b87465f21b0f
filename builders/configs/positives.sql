SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete,
       NOT unsound AS sound, split
FROM positive ORDER BY position, solution_id
