-- Means by group, as sums over problems: of totals t (in millionths) and counts c, and of their products.
WITH step AS (
    SELECT generator, steps.problem_id, solution_id, advantage, is_pit, step_index,
           max(step_index) OVER (PARTITION BY solution_id) AS last_step
    FROM steps JOIN sample USING (solution_id)
), amount AS (
    SELECT generator, problem_id, 'completion_tokens' AS measure, completion_tokens AS amount FROM sample WHERE counts
    UNION ALL
    SELECT generator, problem_id, 'completion_characters', characters FROM sample WHERE counts
    UNION ALL
    SELECT generator, problem_id, 'steps', last_step + 1 FROM step WHERE step_index = 0
    UNION ALL
    SELECT generator, problem_id, 'first_pit_position', step_index / greatest(1, last_step) FROM step WHERE is_pit
    UNION ALL
    SELECT generator, problem_id, 'advantage', advantage FROM step
), total AS (
    SELECT generator, problem_id, measure, sum(round(amount * 1e6)::HUGEINT) AS t, count(*)::HUGEINT AS c
    FROM amount WHERE amount IS NOT NULL GROUP BY ALL
)
SELECT generator, "by", "group", measure, count(*) AS problems, sum(t), sum(c), sum(t * t), sum(t * c), sum(c * c)
FROM total JOIN grouping USING (problem_id) GROUP BY ALL
