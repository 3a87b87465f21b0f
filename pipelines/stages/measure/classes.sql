-- For every generator, problem and measure: how many classes of equal correct solutions have how many members.
-- coverage has one class, all correct samples; a problem without a correct one has a class of no members.
CREATE TEMP TABLE problem AS
SELECT generator, problem_id, count(*) AS n, count(*) FILTER (correct) AS c FROM sample WHERE counts GROUP BY ALL;

CREATE TEMP TABLE class AS
WITH found AS (
    SELECT generator, problem_id, 'coverage' AS measure, c AS members FROM problem WHERE c > 0
    UNION ALL
    SELECT generator, problem_id, 'diversity_text', count(*) FROM sample WHERE counts AND correct
    GROUP BY generator, problem_id, text_key
    UNION ALL
    SELECT generator, problem_id, 'diversity_equations', count(*) FROM sample WHERE counts AND correct
    GROUP BY generator, problem_id, equation_key
), tally AS (
    SELECT generator, problem_id, measure, members, count(*) AS classes FROM found GROUP BY ALL
), kinds AS (
    SELECT unnest(['coverage', 'diversity_text', 'diversity_equations']) AS measure
)
SELECT generator, problem_id, n, measure, coalesce(members, 0) AS members, coalesce(classes, 1) AS classes
FROM problem CROSS JOIN kinds LEFT JOIN tally USING (generator, problem_id, measure);
