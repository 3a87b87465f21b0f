-- Response-level pairs, the controls: every negative is matched once by each rule.
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
SELECT problem_id, chosen_id, rejected_id, prompt, chosen, rejected, rule, split
FROM capped WHERE place <= getvariable('max_pairs') ORDER BY position, rule, rejected_id
