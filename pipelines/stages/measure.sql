-- Measures of every generator, over its samples before deduplication.
-- n: samples that count (a missing answer or a truncation is a failure; a verifier's time-out, say, does not count).
-- c: correct ones. coverage@k: mean over problems of 1 - C(n-c, k) / C(n, k). diversity@k: mean over problems of the
-- sum over classes j of equal correct solutions of 1 - C(n-c_j, k) / C(n, k). Problems with n < k are excluded.
-- Sums of fractions are taken in a fixed order, so that the same samples give the same digits.
WITH samples AS (
    SELECT generator, problem_id, solutions.completion_tokens, verdicts.soundness, judgements.soundness AS judged,
           verdict = 'correct' AS correct,
           md5(trim(regexp_replace(solution, '\s+', ' ', 'g'))) AS text_key, equation_key
    FROM solutions JOIN verdicts USING (solution_id) LEFT JOIN judgements USING (solution_id)
    WHERE verdict <> 'undecided' OR reason IN ('no_answer', 'truncated')
), problem AS (
    SELECT generator, problem_id, count(*) AS n, count(*) FILTER (correct) AS c FROM samples GROUP BY ALL
), class AS (
    SELECT generator, problem_id, 'coverage' AS measure, count(*) AS members FROM samples WHERE correct GROUP BY ALL
    UNION ALL
    SELECT generator, problem_id, 'diversity_text', count(*) FROM samples WHERE correct GROUP BY generator, problem_id, text_key
    UNION ALL
    SELECT generator, problem_id, 'diversity_equations', count(*) FROM samples WHERE correct GROUP BY generator, problem_id, equation_key
), kinds AS (
    SELECT unnest(['coverage', 'diversity_text', 'diversity_equations']) AS measure
), each_k AS (
    SELECT unnest($ks::BIGINT[]) AS k
), hit AS (
    SELECT problem.generator, problem.problem_id, kinds.measure, k, n,
           sum(CASE WHEN members IS NULL THEN 0 WHEN n - members < k THEN 1
                    ELSE 1 - exp(lgamma(n - members + 1) + lgamma(n - k + 1) - lgamma(n - members - k + 1) - lgamma(n + 1))
               END ORDER BY members) AS value
    FROM problem CROSS JOIN kinds CROSS JOIN each_k LEFT JOIN class USING (generator, problem_id, measure)
    WHERE k <= n GROUP BY ALL
), curve AS (
    SELECT generator, measure, k, avg(value ORDER BY problem_id) AS value, count(*) AS n,
           1.959964 * coalesce(stddev_samp(value ORDER BY problem_id), 0) / sqrt(count(*)) AS half
    FROM hit GROUP BY ALL
), share AS (
    SELECT generator, 'false_equation_rate' AS measure, count(*) AS n, count(*) FILTER (soundness = 'unsound') AS x
    FROM samples WHERE correct GROUP BY ALL
    UNION ALL
    SELECT generator, 'false_positive_rate_judge', count(*), count(*) FILTER (judged = 'unsound')
    FROM samples WHERE correct AND judged <> 'undecided' GROUP BY ALL
    UNION ALL
    SELECT generator, 'judge_undecided_rate', count(*), count(*) FILTER (judged = 'undecided')
    FROM samples WHERE correct AND judged IS NOT NULL GROUP BY ALL
), wilson AS (
    SELECT *, x / n AS p, (x / n + 1.920730 / n) / (1 + 3.841459 / n) AS middle,
           1.959964 / (1 + 3.841459 / n) * sqrt(x / n * (1 - x / n) / n + 3.841459 / (4 * n * n)) AS half
    FROM share
)
SELECT generator, 'all' AS "by", 'all' AS "group", measure, k, value, greatest(0, value - half) AS low,
       CASE measure WHEN 'coverage' THEN least(1, value + half) ELSE value + half END AS high, 'problems' AS interval, n,
       (SELECT count(*) FROM problem WHERE problem.generator = curve.generator) - n AS excluded
FROM curve
UNION ALL
SELECT generator, 'all', 'all', measure, NULL, p, greatest(0, middle - half), least(1, middle + half), 'wilson', n, 0
FROM wilson
UNION ALL
SELECT generator, 'all', 'all', 'completion_tokens', NULL, avg(completion_tokens), NULL, NULL, 'none', count(*), 0
FROM samples WHERE completion_tokens IS NOT NULL GROUP BY generator
ORDER BY generator, measure, k
