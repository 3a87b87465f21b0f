SELECT problem_id, solution_id, generator, prompt, solution AS completion, complete, soundness, checked_by,
       CASE WHEN getvariable('spurious_positives') <> 'keep' THEN spurious_share END AS spurious_share, behind_answer, origin,
       split
FROM positive ORDER BY position, solution_id
