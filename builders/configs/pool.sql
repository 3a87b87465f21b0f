-- Which solutions a release may use, and under which prompt. Sound ones come first; else ranks are by hash, so that a
-- cap takes the same solutions whatever order the samples came in, and more samples change little of what was taken.
CREATE TEMP VIEW place AS SELECT problem_id, file_row_number AS position FROM problems;

CREATE TEMP VIEW pool AS
SELECT solutions.*, verdict, prompt, prompts.split, position,
       coalesce('unsound' IN (verdicts.soundness, judgements.soundness), false) AS unsound,
       row_number() OVER (
           PARTITION BY problem_id, verdict ORDER BY unsound, md5(getvariable('seed') || solution_id)
       ) AS number
FROM solutions
JOIN verdicts USING (solution_id)
LEFT JOIN judgements USING (solution_id)
JOIN place USING (problem_id)
JOIN prompts USING (generator, problem_id)
ANTI JOIN duplicates USING (solution_id)
WHERE (verdict = 'correct' AND NOT (getvariable('drop_unsound') AND unsound))
   OR (verdict = 'incorrect' AND (complete OR getvariable('keep_truncated')));

CREATE TEMP VIEW positive AS
SELECT * FROM pool WHERE verdict = 'correct' AND number <= getvariable('max_positives');

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

-- Every positive against every negative of its problem; `number` of a negative is its rank.
CREATE TEMP VIEW match AS
SELECT positive.problem_id, positive.position, positive.split, positive.solution_id AS chosen_id,
       negative.solution_id AS rejected_id, negative.prompt, positive.solution AS chosen,
       positive.complete AS chosen_complete, negative.solution AS rejected, negative.complete AS rejected_complete,
       negative.pit_index, md5(getvariable('seed') || positive.solution_id || negative.solution_id) AS draw
FROM positive JOIN negative USING (problem_id);

-- One message of a conversation, as a list; a prompt's closing line break is the template's business there.
CREATE TEMP MACRO message(who, said) AS [{role: who, content: rtrim(said, chr(10))}];

-- Steps of annotated solutions under the prompt of the policy that continued them.
CREATE TEMP VIEW step AS
SELECT steps.* EXCLUDE (file_row_number), solutions.solution, solutions.complete, prompt, split, position
FROM steps
JOIN solutions USING (solution_id)
JOIN place ON place.problem_id = steps.problem_id
JOIN prompts ON prompts.problem_id = steps.problem_id AND prompts.generator = getvariable('policy');

-- Response-level pairs, the controls: every negative is matched once by each rule.
CREATE TEMP VIEW pair AS
WITH ranked AS (
    SELECT *, 'random' AS rule, row_number() OVER (PARTITION BY rejected_id ORDER BY draw) AS choice
    FROM match
    UNION ALL
    SELECT *, 'max_edit_distance', row_number() OVER (
        PARTITION BY rejected_id ORDER BY levenshtein(chosen, rejected) DESC, draw
    )
    FROM match
), capped AS (
    SELECT *, row_number() OVER (PARTITION BY problem_id, rule ORDER BY md5(getvariable('seed') || rejected_id)) AS place
    FROM ranked WHERE choice = 1
)
SELECT * FROM capped WHERE place <= getvariable('max_pairs');
