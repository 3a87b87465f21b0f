-- Which training problems stand in an evaluation set, too.
-- exact: the same words, numbers and signs. ngrams: one problem holds a share of at least $overlap of the runs of
-- $ngram words of an evaluation problem. numbers_masked: the same but for the numbers in it.
-- For each problem and set the strongest rule is told, and of that the evaluation problem with the largest overlap.
WITH told AS (
    SELECT problem_id AS id, NULL AS evaluation, problem FROM candidates WHERE split = 'train'
    UNION ALL
    SELECT evaluation_id, evaluation, problem FROM evaluations
), text AS (  -- full stops go, decimal points stay
    SELECT id, evaluation, regexp_replace(lower(nfc_normalize(problem)), '\.(\D|$)', '\1', 'g') AS text FROM told
), read AS (
    SELECT id, evaluation, regexp_extract_all(text, '[\p{L}\p{N}]+') AS words,
           regexp_replace(text, '[^\p{L}\p{N}+*/^=<>%.-]+', '', 'g') AS signs,
           regexp_replace(regexp_replace(text, '\d+([.,]\d+)*', '#', 'g'), '[^\p{L}#+*/^=<>%-]+', '', 'g') AS masked
    FROM text
), known AS (
    SELECT *, list_distinct([hash(words[i:i + $ngram - 1]) FOR i IN range(1, len(words) - $ngram + 2)]) AS grams
    FROM read
), ours AS (
    SELECT id AS problem_id, signs, masked, grams FROM known WHERE evaluation IS NULL
), theirs AS (
    SELECT row_number() OVER () AS number, id AS evaluation_id, evaluation, signs, masked, grams, len(grams) AS size
    FROM known WHERE evaluation IS NOT NULL
), run AS (
    SELECT number, size, unnest(grams) AS gram FROM theirs
), held AS (
    SELECT problem_id, gram FROM (SELECT problem_id, unnest(grams) AS gram FROM ours) SEMI JOIN run USING (gram)
), rare AS (  -- of so many runs one at least is shared; the rarest ones, so that no stock sentence brings all together
    SELECT number, gram FROM run LEFT JOIN (SELECT gram, count(*) AS problems FROM held GROUP BY gram) USING (gram)
    QUALIFY row_number() OVER (PARTITION BY number ORDER BY coalesce(problems, 0), gram)
            <= size - ceil($overlap * size - 1e-9) + 1
), shared AS (
    SELECT problem_id, evaluation, evaluation_id, len(list_intersect(ours.grams, theirs.grams)) / size AS overlap
    FROM (SELECT DISTINCT problem_id, number FROM held JOIN rare USING (gram))
    JOIN ours USING (problem_id) JOIN theirs USING (number)
    WHERE overlap >= $overlap
), matched AS (
    SELECT problem_id, evaluation, evaluation_id, 1 AS strength, 'exact' AS rule, 1.0 AS overlap
    FROM ours JOIN theirs USING (signs)
    UNION ALL
    SELECT problem_id, evaluation, evaluation_id, 2, 'ngrams', overlap FROM shared
    UNION ALL
    SELECT problem_id, evaluation, evaluation_id, 3, 'numbers_masked', NULL FROM ours JOIN theirs USING (masked)
)
SELECT problem_id, evaluation, evaluation_id, rule, overlap,
       CASE WHEN rule = 'numbers_masked' AND $other_numbers = 'flag' THEN 'flagged' ELSE 'dropped' END AS outcome
FROM matched
QUALIFY row_number() OVER (
    PARTITION BY problem_id, evaluation ORDER BY strength, overlap DESC NULLS LAST, evaluation_id) = 1
ORDER BY problem_id, evaluation
