SELECT rollouts.*, placed.split
FROM rollouts
JOIN (SELECT DISTINCT problem_id, split FROM prompts) AS placed USING (problem_id)
JOIN place USING (problem_id)
ORDER BY position, rollouts.file_row_number
