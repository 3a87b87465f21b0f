SELECT * EXCLUDE (position, repeats) FROM step_pair WHERE NOT repeats ORDER BY position, mode, rejected_id
