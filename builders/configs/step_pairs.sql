-- Pairs at the first pit of a negative.
-- full_vs_truncated: a correct solution against the negative cut behind its pit; negatives of a problem take its
-- positives in turn. shared_prefix: behind the same steps, a better step against the pit, its value by its own rollouts;
-- one whose equations hold comes before one of which some do not.
WITH pit AS (
    SELECT annotated.*, loser.turn, loser.generator
    FROM annotated JOIN (SELECT solution_id, turn, generator FROM loser WHERE has_pit) AS loser USING (solution_id)
    WHERE is_pit AND turn < getvariable('max_pairs_per_problem')
), partner AS (
    SELECT *, row_number() OVER (PARTITION BY rejected_id ORDER BY number) - 1 AS seat,
           count(*) OVER (PARTITION BY rejected_id) AS seats
    FROM (FROM match QUALIFY same_generator OR NOT bool_or(same_generator) OVER (PARTITION BY rejected_id))
), truncated AS (
    SELECT pit.problem_id, chosen_id, rejected_id, chosen_generator, rejected_generator, pit.prompt, chosen,
           substr(pit.solution, 1, pit."end") AS rejected, chosen_soundness, chosen_checked_by, chosen_complete,
           pit."end" = length(pit.solution) AND ended(pit.complete) AS rejected_complete, 'full_vs_truncated' AS mode,
           pit.step_index AS pit_index, fall_low, 1.0 AS q_chosen, q AS q_rejected, pit.split, pit.position
    FROM pit JOIN partner ON partner.rejected_id = pit.solution_id AND seat = pit.turn % seats
), shared AS (
    SELECT pit.problem_id, NULL AS chosen_id, pit.solution_id AS rejected_id, getvariable('policy') AS chosen_generator,
           generator AS rejected_generator, pit.prompt || substr(pit.solution, 1, pit.start) AS prompt,
           alternatives.step AS chosen, pit.step AS rejected,
           CASE WHEN alternatives.sound THEN 'unchecked' ELSE 'unsound' END AS chosen_soundness,
           CASE WHEN NOT alternatives.sound THEN 'equations' END AS chosen_checked_by,
           alternatives.complete AS chosen_complete,
           pit."end" = length(pit.solution) AND ended(pit.complete) AS rejected_complete, 'shared_prefix' AS mode,
           pit.step_index AS pit_index, fall_low, alternatives.q AS q_chosen, pit.q AS q_rejected, pit.split, pit.position
    FROM pit JOIN alternatives USING (solution_id, step_index)
    WHERE alternatives.q - pit.q >= getvariable('pair_margin') AND alike(alternatives.step, pit.step)
      AND (alternatives.sound OR getvariable('unsound_positives') <> 'drop')
    QUALIFY row_number() OVER (
        PARTITION BY pit.solution_id ORDER BY alternatives.sound DESC, alternatives.q DESC, alternative_id
    ) = 1
)
SELECT * EXCLUDE (position) FROM (FROM truncated UNION ALL FROM shared) AS pair_at_pit
ORDER BY pair_at_pit.position, mode, rejected_id
