-- Pairs at the first pit of a negative.
-- full_vs_truncated: a correct solution against the negative cut behind its pit; negatives of a problem take its
-- positives in turn. shared_prefix: behind the same steps, a better step against the pit, its value by its own rollouts.
WITH pit AS (
    SELECT step.*, q AS q_pit,
           coalesce(lag_q, base_q, 1) - q AS fall
    FROM (
        SELECT *, lag(q) OVER (PARTITION BY solution_id ORDER BY step_index) AS lag_q,
               CASE WHEN step_index = 0 THEN q - advantage END AS base_q
        FROM step
    ) AS step
    JOIN (SELECT solution_id FROM negative) USING (solution_id)
    WHERE is_pit AND q IS NOT NULL
), turn AS (
    SELECT *, row_number() OVER (PARTITION BY problem_id ORDER BY solution_id) - 1 AS place FROM pit
    WHERE fall >= getvariable('min_pit_drop')
), truncated AS (
    SELECT turn.problem_id, positive.solution_id AS chosen_id, turn.solution_id AS rejected_id, turn.prompt,
           positive.solution AS chosen, substr(turn.solution, 1, turn."end") AS rejected,
           positive.complete AS chosen_complete, turn."end" = length(turn.solution) AND turn.complete AS rejected_complete,
           'full_vs_truncated' AS mode, turn.step_index AS pit_index, 1.0 AS q_chosen, q_pit AS q_rejected,
           turn.split, turn.position
    FROM turn JOIN (
        SELECT *, row_number() OVER (PARTITION BY problem_id ORDER BY number) - 1 AS seat,
               count(*) OVER (PARTITION BY problem_id) AS seats
        FROM positive
    ) AS positive ON positive.problem_id = turn.problem_id AND positive.seat = turn.place % positive.seats
    WHERE turn.place < getvariable('max_pairs')
), shared AS (
    SELECT turn.problem_id, NULL AS chosen_id, turn.solution_id AS rejected_id,
           turn.prompt || substr(turn.solution, 1, turn.start) AS prompt, alternatives.step AS chosen,
           turn.step AS rejected, alternatives.complete AS chosen_complete,
           turn."end" = length(turn.solution) AND turn.complete AS rejected_complete, 'shared_prefix' AS mode,
           turn.step_index AS pit_index, alternatives.q AS q_chosen, q_pit AS q_rejected, turn.split, turn.position
    FROM turn JOIN alternatives USING (solution_id, step_index)
    WHERE alternatives.q - q_pit >= getvariable('pair_margin')
    QUALIFY row_number() OVER (PARTITION BY turn.solution_id ORDER BY alternatives.q DESC, alternative_id) = 1
        AND turn.place < getvariable('max_pairs')
)
SELECT * EXCLUDE (position) FROM (FROM truncated UNION ALL FROM shared) AS found
ORDER BY found.position, mode, rejected_id
