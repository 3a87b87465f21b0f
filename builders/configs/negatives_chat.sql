SELECT problem_id, solution_id, message('user', prompt) AS prompt, message('assistant', solution) AS completion, split
FROM negative WHERE ended(complete) ORDER BY position, solution_id
