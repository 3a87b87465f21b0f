SELECT problem_id, source AS data_source, message('user', prompt) AS prompt, 'math' AS ability,
       {style: 'rule', ground_truth: answer} AS reward_model,
       {index: row_number() OVER (ORDER BY position) - 1, split: split} AS extra_info, split
FROM task ORDER BY position
