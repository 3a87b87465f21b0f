-- Which solutions a release may use, and under which prompt. Sound ones come first; else ranks are by hash, so that a
-- cap takes the same solutions whatever order the samples came in, and more samples change little of what was taken.

-- A solution with a verdict ended unless it is known to be cut: one of which nothing is known states its answer, or it
-- would be undecided.
CREATE TEMP MACRO ended(complete) AS coalesce(complete, true);

CREATE TEMP VIEW place AS SELECT problem_id, file_row_number AS position FROM problems;

-- Steps of correct solutions after which a correct answer is less likely than before are spurious: no progress.
CREATE TEMP VIEW progress AS
SELECT solution_id, step_index, length(step) AS size,
       coalesce(advantage_model, advantage) < getvariable('spurious_below') AS spurious
FROM steps JOIN verdicts USING (solution_id) WHERE verdict = 'correct';

-- Share of a solution's characters in spurious steps, null where nothing is known of it.
CREATE TEMP VIEW waste AS
SELECT solution_id, coalesce(sum(size) FILTER (spurious), 0) / sum(size) FILTER (spurious IS NOT NULL) AS spurious_share
FROM progress GROUP BY solution_id;

CREATE TEMP VIEW pool AS
SELECT solutions.*, verdict, prompt, prompts.split, position,
       coalesce('unsound' IN (verdicts.soundness, judgements.soundness), false) AS unsound, spurious_share,
       row_number() OVER (
           PARTITION BY problem_id, verdict
           ORDER BY unsound, CASE WHEN getvariable('least_spurious') THEN spurious_share END NULLS LAST,
                    md5(getvariable('seed') || solution_id)
       ) AS number
FROM solutions
JOIN verdicts USING (solution_id)
LEFT JOIN judgements USING (solution_id)
LEFT JOIN waste USING (solution_id)
JOIN place USING (problem_id)
JOIN prompts USING (generator, problem_id)
ANTI JOIN duplicates USING (solution_id)
WHERE (verdict = 'correct' AND NOT (getvariable('drop_unsound') AND unsound)
       AND NOT (getvariable('drop_spurious') AND coalesce(spurious_share, 0) > 0))
   OR (verdict = 'incorrect' AND (ended(complete) OR getvariable('keep_truncated')));

-- Verified rollouts as further solutions: prefix and completion joined, where no solution of the problem says the same.
-- They share their prefix with a solution, so they are no independent samples and stand in no table that is counted.
-- Prefixes are the bare problem, correct solutions, and negatives before their pit: none that had to recover.
CREATE TEMP VIEW rollout_sample AS
SELECT rollout_id AS solution_id, problem_id, prompts.generator, prompt,
       coalesce(substr(solutions.solution, 1, steps."end"), '') || completion AS solution, prompts.split, position
FROM rollouts
JOIN place USING (problem_id)
JOIN prompts USING (problem_id)
LEFT JOIN steps USING (solution_id, step_index)
LEFT JOIN solutions USING (solution_id)
LEFT JOIN (SELECT solution_id, step_index AS pit FROM steps WHERE is_pit) AS lost USING (solution_id)
WHERE getvariable('rollout_positives') AND prompts.generator = getvariable('policy') AND origin = 'prefix'
  AND rollouts.verdict = 'correct' AND rollouts.finish_reason = 'stop' AND coalesce(step_index < pit, true)
QUALIFY row_number() OVER (PARTITION BY problem_id, solution ORDER BY rollout_id) = 1;

CREATE TEMP VIEW positive AS
SELECT * EXCLUDE (number, place), place AS number FROM (
    SELECT *, row_number() OVER (PARTITION BY problem_id ORDER BY origin <> 'sample', number, solution_id) AS place
    FROM (
        SELECT solution_id, problem_id, generator, prompt, solution, complete,
               CASE WHEN getvariable('flag_unsound') THEN NOT unsound END AS sound, spurious_share,
               'sample' AS origin, split, position, number
        FROM pool WHERE verdict = 'correct'
        UNION ALL
        SELECT solution_id, problem_id, generator, prompt, solution, true, NULL, NULL, 'rollout', split, position, NULL
        FROM rollout_sample
        ANTI JOIN (SELECT problem_id, solution FROM solutions) AS known USING (problem_id, solution)
    )
) WHERE place <= getvariable('max_positives');

-- Annotated negatives come first: they are the ones whose pit is known.
CREATE TEMP VIEW negative AS
SELECT * EXCLUDE (place) FROM (
    SELECT pool.*, pit.step_index AS pit_index, row_number() OVER (
        PARTITION BY problem_id ORDER BY annotated.solution_id IS NULL, number
    ) AS place
    FROM pool
    LEFT JOIN (SELECT DISTINCT solution_id FROM steps) AS annotated USING (solution_id)
    LEFT JOIN (SELECT solution_id, step_index FROM steps WHERE is_pit) AS pit USING (solution_id)
    WHERE verdict = 'incorrect'
) WHERE place <= getvariable('max_negatives');

-- Negatives that give pairs, in their turn: those lost by a step, or, where all are asked for or none is annotated, all.
-- Every kind of pair takes these, so that comparisons between kinds are fair.
CREATE TEMP VIEW loser AS
WITH pit AS (
    SELECT *, coalesce(lag_q, base_q, 1) - q AS fall
    FROM (
        SELECT *, lag(q) OVER (PARTITION BY solution_id ORDER BY step_index) AS lag_q,
               CASE WHEN step_index = 0 THEN q - advantage END AS base_q
        FROM steps
    ) AS valued
    WHERE is_pit AND q IS NOT NULL
)
SELECT negative.*, row_number() OVER (PARTITION BY problem_id ORDER BY fall IS NULL, solution_id) - 1 AS turn,
       coalesce(fall >= getvariable('min_pit_drop'), false) AS has_pit
FROM negative LEFT JOIN (SELECT solution_id, fall FROM pit) AS fallen USING (solution_id)
WHERE fall >= getvariable('min_pit_drop') OR getvariable('pair_all_negatives') OR (SELECT count(*) = 0 FROM pit);

-- Whether the longer of two texts is at most so many times as long as the shorter.
CREATE TEMP MACRO alike(one, other) AS coalesce(
    greatest(length(one), length(other)) <= getvariable('max_length_ratio') * least(length(one), length(other)), true);

-- Every positive against every such negative of its problem, where their lengths may stand beside each other.
CREATE TEMP VIEW match AS
SELECT positive.problem_id, positive.position, positive.split, positive.solution_id AS chosen_id,
       loser.solution_id AS rejected_id, loser.prompt, positive.solution AS chosen, positive.number,
       positive.sound AS chosen_sound, ended(positive.complete) AS chosen_complete,
       loser.solution AS rejected, ended(loser.complete) AS rejected_complete,
       loser.pit_index, turn, has_pit, md5(getvariable('seed') || positive.solution_id || loser.solution_id) AS draw
FROM positive JOIN loser USING (problem_id)
WHERE alike(positive.solution, loser.solution);

-- One message of a conversation, as a list; a prompt's closing line break is the template's business there.
CREATE TEMP MACRO message(who, said) AS [{role: who, content: rtrim(said, chr(10))}];

-- Steps of annotated solutions under the prompt of the policy that continued them.
CREATE TEMP VIEW step AS
SELECT steps.* EXCLUDE (file_row_number), progress.spurious, solutions.solution, solutions.complete, prompt, split,
       position
FROM steps
LEFT JOIN progress USING (solution_id, step_index)
JOIN solutions USING (solution_id)
JOIN place ON place.problem_id = steps.problem_id
JOIN prompts ON prompts.problem_id = steps.problem_id AND prompts.generator = getvariable('policy');

-- Response-level pairs, the controls: every negative is matched once by each rule.
CREATE TEMP VIEW pair AS
SELECT *, 'random' AS rule FROM match
QUALIFY row_number() OVER (PARTITION BY rejected_id ORDER BY draw) = 1 AND turn < getvariable('max_pairs')
UNION ALL
SELECT *, 'max_edit_distance' FROM match
QUALIFY row_number() OVER (PARTITION BY rejected_id ORDER BY levenshtein(chosen, rejected) DESC, draw) = 1
    AND turn < getvariable('max_pairs');
