-- Tokens that every generator read and wrote, by group, for each of the things it was used for. What was spent for a
-- problem that was then left out stands under all problems alone.
SELECT generator, coalesce("by", 'all') AS "by", coalesce("group", 'all') AS "group", stage,
       sum(prompt_tokens)::BIGINT AS prompt_tokens, sum(cached_prompt_tokens)::BIGINT AS cached_prompt_tokens,
       sum(completion_tokens)::BIGINT AS completion_tokens, sum(prompt_tokens_of)::BIGINT AS prompt_tokens_of,
       sum(cached_prompt_tokens_of)::BIGINT AS cached_prompt_tokens_of,
       sum(completion_tokens_of)::BIGINT AS completion_tokens_of
FROM spent LEFT JOIN grouping USING (problem_id) GROUP BY ALL
