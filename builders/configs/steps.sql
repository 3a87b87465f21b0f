SELECT step.* FROM step ORDER BY position, solution_id, step_index
