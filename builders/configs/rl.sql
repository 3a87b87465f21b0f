SELECT * FROM task ORDER BY position
