SELECT problem_id, chosen_id, rejected_id, prompt, chosen, rejected, chosen_sound, rule, split
FROM pair ORDER BY position, rule, rejected_id
