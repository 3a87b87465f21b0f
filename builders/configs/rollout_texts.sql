-- Verified rollouts that may become solutions: prefix and completion joined, one row for each text.
-- They share their prefix with a solution, so they are no independent samples and stand in no table that is counted.
-- Prefixes are the bare problem, correct solutions, and negatives before their pit, or without one up to the last step from
-- which a rollout reached the answer: none that had to recover, and none that was lost already.

-- Length of a text in tokens: as counted by who wrote it, else about a token for three characters.
CREATE TEMP MACRO tokens(counted, written) AS coalesce(counted, ceil(length(written) / 3));

CREATE TEMP VIEW rollout_text AS
WITH whole AS (
    SELECT rollout_id, rollouts.problem_id, verdict,
           coalesce(substr(solution, 1, steps."end"), '') || completion AS whole_text,
           tokens(NULL, coalesce(substr(solution, 1, steps."end"), '')) + tokens(completion_tokens, completion) AS size
    FROM rollouts
    LEFT JOIN steps USING (solution_id, step_index)
    LEFT JOIN (SELECT solution_id, solution, verdict AS own FROM solutions JOIN verdicts USING (solution_id)) AS begun
        USING (solution_id)
    LEFT JOIN (SELECT solution_id, min(step_index) FILTER (is_pit) AS pit,
                      max(step_index) FILTER (successes > 0) AS reached FROM steps GROUP BY solution_id) AS lost
        USING (solution_id)
    WHERE origin = 'prefix' AND rollouts.finish_reason = 'stop'
      AND (own IS NULL OR own = 'correct' OR coalesce(step_index < pit, step_index <= reached, false))
      AND (verdict = 'correct' AND getvariable('rollout_positives')
           OR verdict = 'incorrect' AND getvariable('rollout_negatives'))
      AND (rollouts.solution_id IS NULL OR steps."end" IS NOT NULL)
      AND coalesce(size <= getvariable('max_solution_tokens'), true)
)
SELECT min(rollout_id) AS solution_id, problem_id, verdict, whole_text AS solution
FROM whole
GROUP BY ALL;
