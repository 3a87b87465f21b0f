-- Which solutions a release may use, and under which prompt. Options stand under their names in the recipe. Every view
-- looks at one problem after another, so that a bucket of problems gives its rows of the whole; two variables are known
-- of the whole run alone: `any_steps`, whether any solution is annotated, and `mean_weight`.

-- A solution with a verdict ended unless it is known to be cut: one of which nothing is known states its answer, or it
-- would be undecided.
CREATE TEMP MACRO ended(complete) AS coalesce(complete, true);

-- Whether more stands behind an answer than a release leaves alone.
CREATE TEMP MACRO too_much(runs_on, behind) AS coalesce(runs_on OR behind > getvariable('max_behind_answer'), false);

-- Where measured values or those of the search's model are asked for.
CREATE TEMP MACRO valued(measured, model) AS CASE getvariable('values') WHEN 'model' THEN model ELSE measured END;

-- One message of a conversation, as a list; a prompt's closing line break is the template's business there.
CREATE TEMP MACRO message(who, said) AS [{role: who, content: rtrim(said, chr(10))}];

-- Whether the longer of two texts is at most so many times as long as the shorter.
CREATE TEMP MACRO alike(one, other) AS coalesce(
    greatest(length(one), length(other)) <= getvariable('max_length_ratio') * least(length(one), length(other)), true);

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

-- Every solution, what is said of its reasoning and by whom, and why a release leaves it out, null where it does not.
-- Only people and judges can say that reasoning is sound, equations that it is not. People count before a judge.
CREATE TEMP VIEW candidate AS
WITH opinion AS (
    SELECT verdicts.solution_id, verdict,
           CASE WHEN list_contains(getvariable('people_unsound')::VARCHAR[], verdicts.solution_id) THEN 'unsound'
                WHEN list_contains(getvariable('people_sound')::VARCHAR[], verdicts.solution_id) THEN 'sound' END AS people,
           CASE WHEN verdicts.soundness = 'unsound' THEN 'unsound' WHEN people IS NOT NULL THEN people
                WHEN judgements.soundness IN ('sound', 'unsound') THEN judgements.soundness
                ELSE 'unchecked' END AS opinion,
           CASE WHEN verdicts.soundness = 'unsound' THEN judged_by WHEN people IS NOT NULL THEN 'people'
                WHEN judgements.soundness IN ('sound', 'unsound') THEN judge END AS checked_by
    FROM verdicts LEFT JOIN judgements USING (solution_id)
)
SELECT solutions.*, verdict, prompt, prompts.split, position, spurious_share, opinion AS soundness, checked_by,
       coalesce(behind, 0) AS behind_answer,
       too_much(runs_on, behind) AS too_much_behind,
       CASE WHEN verdict = 'undecided' THEN 'undecided'
            WHEN survivor_id IS NOT NULL THEN 'duplicate'
            WHEN verdict = 'incorrect' AND NOT ended(complete) AND NOT getvariable('keep_truncated') THEN 'truncated'
            WHEN tokens(completion_tokens, solutions.solution) > getvariable('max_solution_tokens') THEN 'too_long'
            WHEN verdict = 'correct' AND opinion = 'unsound' AND getvariable('unsound_positives') = 'drop'
                THEN 'unsound'
            WHEN too_much_behind AND getvariable('text_behind_answer') = 'drop' THEN 'text_behind_answer'
            WHEN verdict = 'correct' AND spurious_share > 0 AND getvariable('spurious_positives') = 'drop'
                THEN 'spurious' END AS excluded
FROM solutions
JOIN opinion USING (solution_id)
LEFT JOIN duplicates USING (solution_id)
LEFT JOIN waste USING (solution_id)
LEFT JOIN tails USING (solution_id)
JOIN place USING (problem_id)
JOIN prompts USING (generator, problem_id);

-- Those that it may use. Sound ones come first; else ranks are by hash, so that a cap takes the same solutions whatever
-- order the samples came in, and more samples change little of what was taken. A correct one may be cut behind the line
-- of its answer, where it should have ended.
CREATE TEMP VIEW pool AS
SELECT * EXCLUDE (solution, complete),
       getvariable('text_behind_answer') = 'cut' AND too_much_behind AS cut,
       CASE WHEN cut THEN left(solution, length(solution) - behind_answer) ELSE solution END AS solution,
       cut OR complete AS complete, row_number() OVER (
    PARTITION BY problem_id, verdict
    ORDER BY soundness = 'unsound',
             CASE getvariable('choose_positives') WHEN 'least_spurious' THEN spurious_share END NULLS LAST,
             md5(getvariable('seed') || solution_id)
) AS number
FROM candidate WHERE excluded IS NULL;

-- Verified rollouts as further solutions where no sample of the problem says the same, checked as samples are: by their
-- equations, and behind their answer.
CREATE TEMP VIEW rollout_sample AS
WITH checked AS (
    SELECT rollout_text.* EXCLUDE (solution), coalesce(unsound, false) AS is_unsound,
           CASE WHEN unsound THEN 'unsound' ELSE 'unchecked' END AS soundness,
           CASE WHEN unsound THEN 'equations' END AS checked_by, too_much(runs_on, behind) AS too_much_behind,
           too_much_behind AND getvariable('text_behind_answer') = 'cut' AS cut,
           CASE WHEN cut THEN left(solution, length(solution) - behind) ELSE solution END AS solution,
           CASE WHEN cut THEN 0 ELSE coalesce(behind, 0) END AS behind_answer
    FROM rollout_text LEFT JOIN tails USING (solution_id)
    WHERE NOT (is_unsound AND getvariable('unsound_positives') = 'drop')
      AND NOT (too_much_behind AND getvariable('text_behind_answer') = 'drop')
)
SELECT checked.*, prompts.generator, prompts.prompt, prompts.split, place.position
FROM checked
JOIN place USING (problem_id)
JOIN prompts USING (problem_id)
ANTI JOIN (SELECT problem_id, solution FROM solutions) AS known USING (problem_id, solution)
WHERE prompts.generator = getvariable('policy');

-- A rollout that says the same as another positive, where one of them was cut, is none.
CREATE TEMP VIEW positive AS
WITH several AS (
    SELECT solution_id, problem_id, generator, prompt, solution, complete, soundness, checked_by, spurious_share,
           CASE WHEN cut THEN 0 ELSE behind_answer END AS behind_answer, 'sample' AS origin, split, position, number
    FROM pool WHERE verdict = 'correct'
    UNION ALL
    SELECT solution_id, problem_id, generator, prompt, solution, true, soundness, checked_by, NULL, behind_answer,
           'rollout', split, position, is_unsound::INT
    FROM rollout_sample WHERE verdict = 'correct'
), single AS (
    FROM several QUALIFY origin = 'sample' OR row_number() OVER (
        PARTITION BY problem_id, solution ORDER BY origin <> 'sample', number, solution_id
    ) = 1
)
SELECT * FROM (
    SELECT * EXCLUDE (number), row_number() OVER (
        PARTITION BY problem_id ORDER BY origin <> 'sample', number, solution_id
    ) AS number
    FROM single
) WHERE number <= getvariable('max_positives_per_problem');

-- Annotated negatives come first: they are the ones whose pit is known, or known to be in doubt. Rollouts come last.
CREATE TEMP VIEW negative AS
WITH known AS (
    SELECT solution_id, min(step_index) FILTER (is_pit) AS pit_index, min(fall_low) FILTER (is_pit) AS fall_low,
           CASE WHEN bool_or(is_pit) THEN 'found' WHEN count(fall_low) > 0 THEN 'doubtful' ELSE 'none' END AS pit
    FROM steps GROUP BY solution_id
)
SELECT * FROM (
    SELECT *, row_number() OVER (
        PARTITION BY problem_id ORDER BY origin <> 'sample', pit IS NULL, number, solution_id
    ) AS rank
    FROM (
        SELECT pool.*, known.* EXCLUDE (solution_id), 'sample' AS origin
        FROM pool LEFT JOIN known USING (solution_id) WHERE verdict = 'incorrect'
        UNION ALL BY NAME
        SELECT solution_id, problem_id, generator, prompt, solution, verdict, split, position, true AS complete,
               soundness, 'rollout' AS origin
        FROM rollout_sample WHERE verdict = 'incorrect'
    )
) WHERE rank <= getvariable('max_negatives_per_problem');

-- Negatives that give pairs, in their turn: those lost by a step, or, where all are asked for or none is annotated, all.
-- Every kind of pair takes these, so that comparisons between kinds are fair.
CREATE TEMP VIEW loser AS
SELECT *, row_number() OVER (PARTITION BY problem_id ORDER BY fall_low IS NULL, solution_id) - 1 AS turn,
       coalesce(fall_low >= getvariable('min_pit_drop'), false) AS has_pit
FROM negative
WHERE origin = 'sample' AND (has_pit OR getvariable('pair_negatives') = 'all' OR NOT getvariable('any_steps'));

-- Every positive against every such negative of its problem, where their lengths may stand beside each other.
CREATE TEMP VIEW match AS
SELECT positive.problem_id, positive.position, positive.split, positive.solution_id AS chosen_id,
       loser.solution_id AS rejected_id, loser.prompt, positive.solution AS chosen, positive.number,
       positive.soundness AS chosen_soundness, positive.checked_by AS chosen_checked_by,
       ended(positive.complete) AS chosen_complete, loser.solution AS rejected,
       ended(loser.complete) AS rejected_complete, positive.generator AS chosen_generator,
       loser.generator AS rejected_generator, positive.generator = loser.generator AS same_generator,
       loser.pit_index, turn, has_pit, md5(getvariable('seed') || positive.solution_id || loser.solution_id) AS draw
FROM positive JOIN loser USING (problem_id)
WHERE alike(positive.solution, loser.solution);

-- Steps of annotated solutions under the prompt of the policy that continued them.
CREATE TEMP VIEW annotated AS
SELECT steps.* EXCLUDE (file_row_number), progress.spurious, candidate.solution, candidate.complete, verdict,
       soundness, checked_by, CASE WHEN excluded IN ('too_long', 'unsound') THEN excluded END AS left_out,
       prompts.prompt, prompts.split, position
FROM steps
LEFT JOIN progress USING (solution_id, step_index)
JOIN candidate USING (solution_id, problem_id)
JOIN prompts ON prompts.problem_id = steps.problem_id AND prompts.generator = getvariable('policy');

-- Where judge and rollouts must agree: the annotated solutions of which they do not, and those whose pit the judge does
-- not name, each with the reason.
CREATE TEMP VIEW disputed AS
SELECT solution_id, disagreement FROM first_error WHERE getvariable('consensus') AND disagreement IS NOT NULL;

CREATE TEMP VIEW disputed_pit AS
SELECT solution_id, CASE WHEN judge_error IS NULL THEN disagreement ELSE 'judge_disagrees' END AS disagreement
FROM first_error WHERE getvariable('consensus') AND judge_error IS DISTINCT FROM pit_index AND pit_index IS NOT NULL;

-- Response-level pairs, the controls: every negative is matched once by each rule, with a positive of its own generator
-- where there is one.
CREATE TEMP VIEW pair AS
SELECT *, 'random' AS rule FROM match
QUALIFY row_number() OVER (PARTITION BY rejected_id ORDER BY NOT same_generator, draw) = 1
    AND turn < getvariable('max_pairs_per_problem')
UNION ALL
SELECT *, 'max_edit_distance' FROM match
QUALIFY row_number() OVER (
    PARTITION BY rejected_id ORDER BY NOT same_generator, levenshtein(chosen, rejected) DESC, draw
) = 1 AND turn < getvariable('max_pairs_per_problem');

-- Steps with their place: before, at or behind the pit of a negative; in one without a pit up to the last step from which
-- a rollout reached the answer, or behind it, where nobody knows which step lost it; or in a correct solution.
CREATE TEMP VIEW placed AS
SELECT *, CASE WHEN verdict = 'correct' THEN 'correct' WHEN step_index < pit THEN 'before' WHEN step_index = pit THEN 'pit'
               WHEN step_index > pit THEN 'behind' WHEN step_index <= reached THEN 'reached' ELSE 'unreached'
          END AS step_place
FROM (
    SELECT *, min(step_index) FILTER (is_pit) OVER (PARTITION BY solution_id) AS pit,
           max(step_index) FILTER (successes > 0) OVER (PARTITION BY solution_id) AS reached
    FROM annotated WHERE left_out IS NULL
);

-- Steps that weigh. The completion ends with the last of them. `mean_weight` is that of all steps of the run, as weighed.py
-- sums it.
CREATE TEMP VIEW weight AS
WITH kept AS (
    SELECT *, exp(valued(advantage, advantage_model) / getvariable('weight_beta')) AS unbounded,
           CASE WHEN unbounded > getvariable('weight_max') THEN getvariable('weight_max') ELSE unbounded END AS raw,
           max("end") OVER (PARTITION BY solution_id) AS kept_end, count(raw) OVER (PARTITION BY solution_id) AS known
    FROM placed WHERE getvariable('after_pit') = 'keep' OR step_place NOT IN ('behind', 'unreached')
)
SELECT *, substr(solution, 1, kept_end) AS kept_text,
       CASE WHEN kept_end < length(solution) THEN false ELSE complete END AS kept_complete,
       raw / getvariable('mean_weight') AS weight
FROM kept WHERE known > 0;

-- Problems as tasks: one prompt, the gold answer, and how often samples reach it, of one generator or of all. A problem
-- whose gold answer cannot be read has no reward.
CREATE TEMP VIEW rated AS
WITH counted AS (
    SELECT problem_id, count(*) FILTER (is_outcome(verdict, reason)) AS n_samples,
           count(*) FILTER (verdict = 'correct') AS n_correct
    FROM solutions JOIN verdicts USING (solution_id)
    WHERE generator = getvariable('rl_generator') OR getvariable('rl_generator') IS NULL
    GROUP BY problem_id
), gold AS (
    SELECT problem_id, bool_or(reason = 'gold_unparseable') AS unreadable
    FROM solutions JOIN verdicts USING (solution_id) GROUP BY problem_id
)
SELECT problem_id, prompt, answer, n_correct / nullif(n_samples, 0) AS pass_rate,
       coalesce(counted.n_samples, 0) AS n_samples, getvariable('rl_generator') AS generator, level, subject, source,
       prompts.split, position, coalesce(unreadable, false) AS unreadable
FROM problems
JOIN place USING (problem_id)
JOIN prompts USING (problem_id)
LEFT JOIN counted USING (problem_id)
LEFT JOIN gold USING (problem_id)
WHERE prompts.generator = getvariable('rl_prompt');

CREATE TEMP VIEW task AS
FROM rated
WHERE NOT unreadable AND (getvariable('least_pass_rate') IS NULL
    OR pass_rate BETWEEN getvariable('least_pass_rate') AND getvariable('most_pass_rate'));

-- Pairs at the first pit of a negative.
-- full_vs_truncated: a correct solution against the negative cut behind its pit; negatives of a problem take its
-- positives in turn. shared_prefix: behind the same steps, a better step against the pit, its value by its own rollouts;
-- one whose equations hold comes before one of which some do not. A row `repeats` another that says the same of a
-- negative with a lower id.
CREATE TEMP VIEW step_pair AS
WITH pit AS (
    SELECT annotated.*, loser.turn, loser.generator
    FROM annotated JOIN (SELECT solution_id, turn, generator FROM loser WHERE has_pit) AS loser USING (solution_id)
    ANTI JOIN disputed_pit USING (solution_id)
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
    SELECT pit.problem_id, source.solution_id AS chosen_id, pit.solution_id AS rejected_id,
           coalesce(source.generator, getvariable('policy')) AS chosen_generator, pit.generator AS rejected_generator,
           pit.prompt || substr(pit.solution, 1, pit.start) AS prompt,
           alternatives.step AS chosen, pit.step AS rejected,
           CASE WHEN alternatives.sound THEN 'unchecked' ELSE 'unsound' END AS chosen_soundness,
           CASE WHEN NOT alternatives.sound THEN 'equations' END AS chosen_checked_by,
           alternatives.complete AND ended(source.complete) AS chosen_complete,
           pit."end" = length(pit.solution) AND ended(pit.complete) AS rejected_complete, 'shared_prefix' AS mode,
           pit.step_index AS pit_index, fall_low, alternatives.q AS q_chosen, pit.q AS q_rejected, pit.split, pit.position
    FROM pit JOIN alternatives USING (solution_id, step_index)
    LEFT JOIN (SELECT solution_id, generator, complete FROM solutions) AS source
        ON source.solution_id = alternatives.taken_from
    WHERE alternatives.q - pit.q >= getvariable('pair_margin') AND alike(alternatives.step, pit.step)
      AND (alternatives.sound OR getvariable('unsound_positives') <> 'drop')
    QUALIFY row_number() OVER (
        PARTITION BY pit.solution_id ORDER BY alternatives.sound DESC, alternatives.q DESC, alternative_id
    ) = 1
)
SELECT *, row_number() OVER (PARTITION BY problem_id, mode, prompt, chosen, rejected ORDER BY rejected_id) > 1 AS repeats
FROM (FROM truncated UNION ALL FROM shared);
