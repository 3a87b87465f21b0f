SELECT solutions.*, verdicts.* EXCLUDE (solution_id, file_row_number),
       judgements.soundness AS judge_soundness, judgements.first_error AS judge_first_error, judgements.judge,
       duplicates.survivor_id IS NOT NULL AS duplicate, prompts.split
FROM solutions
JOIN verdicts USING (solution_id)
LEFT JOIN judgements USING (solution_id)
LEFT JOIN duplicates USING (solution_id)
JOIN prompts USING (generator, problem_id)
JOIN place USING (problem_id)
ORDER BY position, generator, sample_index
