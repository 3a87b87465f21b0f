-- What the engines were asked for in a probe: for each stage and generator the requests and tokens, and how unevenly
-- the generated tokens lie over the seed problems (a problem that a model wrote counts with its seed).
WITH root AS (
    SELECT problem_id, coalesce(parent_id, problem_id) AS root_id FROM problems
), spent AS (
    SELECT 'synthesize' AS stage, $writer AS generator, parent_id AS root_id, 1 AS requests, prompt_tokens,
           completion_tokens
    FROM drafts
    UNION ALL
    SELECT 'synthesize', $solver, parent_id, solutions, solver_prompt_tokens, solver_completion_tokens FROM drafts
    UNION ALL
    SELECT 'generate', generator, root_id, 1, prompt_tokens, completion_tokens
    FROM solutions JOIN root USING (problem_id)
    UNION ALL
    SELECT 'judge', judge, root_id, votes_sound + votes_unsound + votes_undecided, judgements.prompt_tokens,
           judgements.completion_tokens
    FROM judgements JOIN solutions USING (solution_id) JOIN root USING (problem_id)
    UNION ALL
    SELECT 'annotate', $policy, root_id, 1, prompt_tokens, completion_tokens
    FROM rollouts JOIN root USING (problem_id)
), by_seed AS (
    SELECT stage, generator, root_id, sum(requests) AS requests, sum(coalesce(prompt_tokens, 0)) AS prompt_tokens,
           sum(coalesce(completion_tokens, 0)) AS completion_tokens
    FROM spent GROUP BY ALL
)
SELECT stage, generator, sum(requests)::BIGINT AS requests, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(completion_tokens)::BIGINT AS completion_tokens,
       sum(completion_tokens::DOUBLE * completion_tokens)::DOUBLE AS squares
FROM by_seed GROUP BY ALL ORDER BY stage, generator
