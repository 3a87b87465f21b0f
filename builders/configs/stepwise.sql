-- A label says whether the answer can still be reached from after a step. What a later step shows (a success among its
-- rollouts, or the solution's own correct end) holds for every step before it, so no False stands before a True.
--   evidence: True by such a success; False where the interval of the plain policy's value ends at `false_below`.
--   threshold: True where the share of successes there or later reaches `label_threshold`, else False where known.
--   first_zero: True up to the first step without a success, False there, null behind it.
-- What none of this decides is null, and a step without rollouts has no value unless the model's are asked for.
WITH plain AS (
    SELECT *, CASE WHEN rollouts > 0 THEN successes / rollouts ELSE q END AS share,
           1 - pow(1 - q_high, 1 / getvariable('best_of')) AS share_high
    FROM annotated ANTI JOIN disputed USING (solution_id) WHERE left_out IS NULL
), closed AS (
    SELECT *, coalesce(max(share) OVER later, 0) AS share_later,
           min(CASE WHEN share = 0 THEN step_index END) OVER (PARTITION BY solution_id) AS first_zero
    FROM plain
    WINDOW later AS (PARTITION BY solution_id ORDER BY step_index ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
), labelled AS (
    SELECT *, CASE getvariable('labels')
        WHEN 'evidence' THEN CASE WHEN share_later > 0 THEN true WHEN share_high <= getvariable('false_below') THEN false END
        WHEN 'threshold' THEN CASE WHEN share_later >= getvariable('label_threshold') THEN true
                                   WHEN share IS NOT NULL THEN false END
        WHEN 'first_zero' THEN CASE WHEN step_index = first_zero THEN false
                                    WHEN coalesce(step_index < first_zero, true) AND share_later > 0 THEN true END
    END AS label
    FROM closed
)
SELECT problem_id, solution_id, any_value(prompt) AS prompt, list(step ORDER BY step_index) AS completions,
       list(label ORDER BY step_index) AS labels, list(valued(q, q_model) ORDER BY step_index) AS "values",
       list(rollouts ORDER BY step_index) AS rollouts, list(successes ORDER BY step_index) AS successes,
       any_value(soundness) AS soundness, any_value(checked_by) AS checked_by, any_value(split) AS split
FROM labelled
GROUP BY problem_id, solution_id, position
ORDER BY position, solution_id
