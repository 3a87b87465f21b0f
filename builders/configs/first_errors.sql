-- Of every annotated solution the first error that rollouts find, the one that the judge names, and its pit: a step
-- from 0, -1 for none, null where it is not known.
--   rollouts: the first step from which no rollout succeeded, if no later step has a success either and some rollout
--   from the step before it, or nothing is before it (hard estimation: Zhang et al., arXiv 2501.07301, section 2).
--   A solution that is correct has none. Where steps without rollouts leave it open, it is not known.
--   judge: what more than half of the votes say of the same steps.
-- `disagreement` is why both do not agree on it, null where they do.
CREATE TEMP VIEW first_error AS
WITH measured AS (
    SELECT problem_id, solution_id, step_index, is_pit,
           CASE WHEN rollouts > 0 THEN successes / rollouts ELSE q END AS share
    FROM steps
), onwards AS (
    SELECT *, coalesce(max(share) OVER (
        PARTITION BY solution_id ORDER BY step_index ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ), 0) AS share_later
    FROM measured
), named AS (
    SELECT problem_id, solution_id, count(*) AS steps,
           coalesce(max(step_index) FILTER (share_later > 0), -1) AS last_reached,
           min(step_index) FILTER (share = 0 AND share_later = 0) AS first_lost,
           min(step_index) FILTER (is_pit) AS pit_index
    FROM onwards GROUP BY ALL
), compared AS (
    SELECT problem_id, named.solution_id, pit_index,
           CASE WHEN last_reached = named.steps - 1 THEN -1 WHEN first_lost = last_reached + 1 THEN first_lost END
               AS rollouts_error,
           CASE soundness WHEN 'sound' THEN -1 WHEN 'unsound' THEN first_error END AS judge_error,
           soundness IS NOT NULL AS is_read
    FROM named LEFT JOIN judgements ON judgements.solution_id = named.solution_id AND judgements.steps = named.steps
)
SELECT *, CASE WHEN NOT is_read THEN 'not_judged' WHEN judge_error IS NULL THEN 'judge_undecided'
               WHEN rollouts_error IS NULL THEN 'rollouts_undecided'
               WHEN judge_error <> rollouts_error THEN 'judge_disagrees' END AS disagreement
FROM compared;
