-- Generators at equal cost: each with the k samples that a level of spending buys ($levels: level, generator, k).
-- For every problem: coverage@k and diversity@k, unbiased, by the formulas of the stage `measure`. `diversity_sound`
-- counts equation lists of solutions that neither a false equation nor a judge shows to be unsound. Means and intervals
-- are over problems; the difference to the generator that sets the levels ($reference) is taken problem by problem,
-- since a problem that is hard for one is hard for the other.
WITH samples AS (
    SELECT solutions.generator, problem_id, verdict = 'correct' AS correct, equation_key,
           'unsound' NOT IN (coalesce(verdicts.soundness, ''), coalesce(judgements.soundness, '')) AS unrefuted,
           md5(trim(regexp_replace(solution, '\s+', ' ', 'g'))) AS text_key,
           coalesce(CASE $by WHEN 'level' THEN level WHEN 'subject' THEN subject WHEN 'source' THEN source ELSE 'all'
                    END, 'none') AS "group"
    FROM solutions JOIN verdicts USING (solution_id) JOIN problems USING (problem_id)
         LEFT JOIN judgements USING (solution_id)
    WHERE is_outcome(verdict, reason)
), problem AS (
    SELECT "group", generator, problem_id, count(*) AS n FROM samples GROUP BY ALL
), class AS (
    SELECT generator, problem_id, 'coverage' AS measure, count(*) AS members FROM samples WHERE correct GROUP BY ALL
    UNION ALL
    SELECT generator, problem_id, 'diversity_text', count(*) FROM samples WHERE correct
    GROUP BY generator, problem_id, text_key
    UNION ALL
    SELECT generator, problem_id, 'diversity_equations', count(*) FROM samples WHERE correct
    GROUP BY generator, problem_id, equation_key
    UNION ALL
    SELECT generator, problem_id, 'diversity_sound', count(*) FROM samples WHERE correct AND unrefuted
    GROUP BY generator, problem_id, equation_key
), levels AS (
    SELECT unnest($levels::STRUCT(level BIGINT, generator VARCHAR, k BIGINT)[], recursive := true)
), kinds AS (
    SELECT unnest(['coverage', 'diversity_text', 'diversity_equations', 'diversity_sound']) AS measure
), hit AS (
    SELECT "group", generator, problem_id, level, k, measure,
           sum(CASE WHEN members IS NULL THEN 0 WHEN n - members < k THEN 1
                    ELSE 1 - exp(lgamma(n - members + 1) + lgamma(n - k + 1) - lgamma(n - members - k + 1) - lgamma(n + 1))
               END ORDER BY members) AS value
    FROM problem JOIN levels USING (generator) CROSS JOIN kinds LEFT JOIN class USING (generator, problem_id, measure)
    WHERE k <= n GROUP BY ALL
), beside AS (
    SELECT hit.*, hit.value - reference.value AS difference
    FROM hit LEFT JOIN hit AS reference
      ON reference.generator = $reference AND hit.generator <> $reference
     AND (reference.problem_id, reference.level, reference.measure) = (hit.problem_id, hit.level, hit.measure)
)
SELECT "group", level, generator, k, measure, avg(value ORDER BY problem_id) AS value,
       1.959964 * coalesce(stddev_samp(value ORDER BY problem_id), 0) / sqrt(count(*)) AS half, count(*) AS n,
       avg(difference ORDER BY problem_id) AS difference,
       1.959964 * coalesce(stddev_samp(difference ORDER BY problem_id), 0) / sqrt(count(difference)) AS difference_half
FROM beside
GROUP BY ALL
ORDER BY "group", level, measure, generator
