-- Shares by group: of correct solutions with unsound reasoning, by the method that saw it; of recorded samples on whose
-- verdict their file and we agree, and on whose first error their file and the judge; of annotated solutions on whose
-- first error rollouts and the judge agree; and histograms, a row a bin.
-- first_pit_histogram: where the first pit lies, in tenths of the solution. advantage_histogram: steps whose advantage
-- lies in the bin, of a width of 0.1, from -1. answer_judge_agreement_rate: answers on which all votes of the judge of
-- answers agree.
WITH judged AS (
    SELECT generator, problem_id, verdicts.soundness AS equations, judgements.soundness AS judge
    FROM sample JOIN verdicts USING (solution_id)
    LEFT JOIN (FROM judgements WHERE sampled) AS judgements USING (solution_id) WHERE correct
), step AS (
    SELECT generator, steps.problem_id, advantage, is_pit, step_index,
           max(step_index) OVER (PARTITION BY solution_id) AS last_step
    FROM steps JOIN sample USING (solution_id)
), outcome AS (
    SELECT generator, problem_id, 'false_equation_rate' AS measure, 0 AS bin, equations = 'unsound' AS hit FROM judged
    UNION ALL
    SELECT generator, problem_id, 'false_positive_rate_judge', 0, judge = 'unsound' FROM judged
    WHERE judge <> 'undecided'
    UNION ALL
    SELECT generator, problem_id, 'judge_undecided_rate', 0, judge = 'undecided' FROM judged WHERE judge IS NOT NULL
    UNION ALL
    SELECT solutions.generator, solutions.problem_id, 'upstream_agreement', 0, upstream_verdict = verdict
    FROM solutions JOIN verdicts USING (solution_id)
    WHERE upstream_verdict IN ('correct', 'incorrect') AND verdict <> 'undecided'
    UNION ALL
    SELECT solutions.generator, solutions.problem_id, 'upstream_first_error_agreement', 0,
           coalesce(first_error, -1) = upstream_first_error
    FROM solutions JOIN judgements USING (solution_id)
    WHERE upstream_first_error IS NOT NULL AND soundness <> 'undecided'
    UNION ALL
    SELECT generator, sample.problem_id, 'first_error_agreement_rate', 0, judge_error = rollouts_error
    FROM first_error JOIN sample USING (solution_id)
    WHERE judge_error IS NOT NULL AND rollouts_error IS NOT NULL
    UNION ALL
    SELECT generator, problem_id, 'answer_judge_agreement_rate',
           0, greatest(votes_equal, votes_unequal, votes_undecided) = votes_equal + votes_unequal + votes_undecided
    FROM rulings JOIN sample USING (solution_id) WHERE votes_equal + votes_unequal + votes_undecided > 0
    UNION ALL
    SELECT generator, problem_id, 'answer_judge_undecided_rate', 0, ruling = 'undecided'
    FROM rulings JOIN sample USING (solution_id)
    UNION ALL
    SELECT generator, problem_id, 'first_pit_histogram', least(9, 10 * step_index // greatest(1, last_step)), true
    FROM step WHERE is_pit
    UNION ALL
    SELECT generator, problem_id, 'advantage_histogram', least(19, floor(round(10 * advantage + 10, 6)))::BIGINT, true
    FROM step WHERE advantage IS NOT NULL
)
SELECT generator, "by", "group", measure, bin::BIGINT AS bin, count(*) FILTER (hit) AS hits, count(*) AS n
FROM outcome JOIN grouping USING (problem_id) GROUP BY ALL
