SELECT problem_id, chosen_id, rejected_id, message('user', prompt) AS prompt, message('assistant', chosen) AS chosen,
       message('assistant', rejected) AS rejected, rule, split
FROM pair WHERE chosen_complete AND rejected_complete ORDER BY position, rule, rejected_id
