SELECT problem_id, chosen_id, rejected_id, prompt, chosen, rejected, chosen_sound, chosen_complete, rejected_complete,
       rule, split
FROM pair ORDER BY position, rule, rejected_id
