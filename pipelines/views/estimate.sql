-- What the engines were asked for in a probe: for each stage and generator the requests and tokens, and how unevenly
-- the generated tokens lie over the seed problems (a problem that a model wrote counts with its seed).
WITH by_seed AS (
    SELECT stage, spent.generator, coalesce(parent_id, problem_id) AS root_id, sum(requests) AS requests,
           sum(coalesce(prompt_tokens, 0)) AS prompt_tokens, sum(coalesce(completion_tokens, 0)) AS completion_tokens,
           sum(coalesce(cached_prompt_tokens, 0)) AS cached
    FROM spent LEFT JOIN problems USING (problem_id) GROUP BY ALL
)
SELECT stage, generator, sum(requests)::BIGINT AS requests, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(completion_tokens)::BIGINT AS completion_tokens, sum(cached)::BIGINT AS cached,
       sum(completion_tokens::DOUBLE * completion_tokens)::DOUBLE AS squares
FROM by_seed GROUP BY ALL ORDER BY stage, generator
