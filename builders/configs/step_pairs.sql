SELECT * EXCLUDE (position) FROM step_pair ORDER BY position, mode, rejected_id
