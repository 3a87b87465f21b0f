SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete, sound,
       CASE WHEN getvariable('flag_spurious') THEN spurious_share END AS spurious_share, origin, split
FROM positive ORDER BY position, solution_id
