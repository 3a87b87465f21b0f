SELECT * FROM annotated ORDER BY position, solution_id, step_index
