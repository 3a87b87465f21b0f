-- Pairs of solutions of one problem and verdict that say nearly the same: the Jaccard index of their sets of runs of
-- $ngram words (one run where a text is shorter) is at least $near. `earlier` has the lower rank, as in deduplicate.sql.
WITH kept AS (
    SELECT problem_id, correct, solution_id,
           regexp_extract_all(lower(nfc_normalize(solution)), '[\p{L}\p{N}.]+') AS words,
           row_number() OVER (ORDER BY NOT sample.complete, CASE $keep WHEN 'shortest' THEN characters
                              WHEN 'longest' THEN -characters ELSE 0 END, position) AS rank
    FROM sample JOIN solutions USING (solution_id, problem_id) ANTI JOIN exact USING (solution_id)
), text AS (
    SELECT *, list_distinct([hash(words[i:i + $ngram - 1]) FOR i IN range(1, greatest(1, len(words) - $ngram + 1) + 1)])
                  AS grams
    FROM kept
), gram AS (
    SELECT problem_id, correct, solution_id, rank, len(grams) AS size, unnest(grams) AS gram FROM text
)
SELECT later.rank, earlier.rank AS earlier, any_value(later.solution_id) AS solution_id,
       any_value(earlier.solution_id) AS survivor_id
FROM gram AS earlier JOIN gram AS later USING (problem_id, correct, gram)
WHERE earlier.rank < later.rank
GROUP BY ALL
HAVING count(*) / (any_value(earlier.size) + any_value(later.size) - count(*)) >= $near
ORDER BY later.rank, earlier.rank
