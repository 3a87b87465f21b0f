-- n_samples counts what coverage counts: a missing answer or a truncation is a failure, a time-out is left out.
WITH rate AS (
    SELECT problem_id, generator, count(*) AS n_samples, count(*) FILTER (verdict = 'correct') AS n_correct
    FROM solutions JOIN verdicts USING (solution_id)
    WHERE is_outcome(verdict, reason)
    GROUP BY ALL
), rates AS (
    SELECT problem_id, list({generator: generator, n_samples: n_samples, n_correct: n_correct,
                             pass_rate: n_correct / n_samples} ORDER BY generator) AS generators
    FROM rate GROUP BY problem_id
)
SELECT problems.* EXCLUDE (split), problems.split AS upstream_split, coalesce(generators, []) AS generators, placed.split
FROM problems
LEFT JOIN rates USING (problem_id)
JOIN (SELECT DISTINCT problem_id, split FROM prompts) AS placed USING (problem_id)
ORDER BY problems.file_row_number
