-- Tokens that every generator read and wrote, by group, for each of the things it was used for. What was spent for a
-- problem that was then left out stands under all problems alone.
SELECT generator, coalesce("by", 'all') AS "by", coalesce("group", 'all') AS "group", stage,
       sum(requests)::BIGINT AS n, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(cached_prompt_tokens)::BIGINT AS cached_prompt_tokens, sum(completion_tokens)::BIGINT AS completion_tokens
FROM spent LEFT JOIN grouping USING (problem_id) GROUP BY ALL ORDER BY ALL
