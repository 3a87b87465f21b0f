SELECT problem_id, chosen_id, rejected_id, chosen_generator, rejected_generator, prompt, chosen, rejected,
       chosen_soundness, chosen_checked_by, chosen_complete, rejected_complete, rule, split
FROM pair ORDER BY position, rule, rejected_id
