-- Tokens that every generator read and wrote, by group, for each of the things it was used for.
WITH spent AS (
    SELECT generator, problem_id, 'generate' AS stage, prompt_tokens, NULL AS cached_prompt_tokens, completion_tokens
    FROM solutions
    UNION ALL
    SELECT judge, problem_id, 'judge', judgements.prompt_tokens, NULL, judgements.completion_tokens
    FROM judgements JOIN solutions USING (solution_id)
    UNION ALL
    SELECT $policy, problem_id, 'annotate', prompt_tokens, cached_prompt_tokens, completion_tokens FROM rollouts
)
SELECT generator, "by", "group", stage, count(*) AS n, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(cached_prompt_tokens)::BIGINT AS cached_prompt_tokens, sum(completion_tokens)::BIGINT AS completion_tokens
FROM spent JOIN grouping USING (problem_id) GROUP BY ALL ORDER BY ALL
