-- Pairs of groups with problems that are nearly the same but for their numbers: the Jaccard index of their sets of runs
-- of five words (one run where a text is shorter) is at least $near. Sources that make problems know their own groups.
WITH text AS (
    SELECT problem_id, group_id, regexp_extract_all(
               regexp_replace(lower(nfc_normalize(problem)), '\d+([.,]\d+)*', '0', 'g'), '[\p{L}\p{N}]+') AS words
    FROM seeds WHERE source NOT IN ('arithmetic', 'star_graph', 'terse_teacher')
), known AS (
    SELECT *, list_distinct([hash(words[i:i + 4]) FOR i IN range(1, greatest(1, len(words) - 4) + 1)]) AS grams FROM text
), gram AS (
    SELECT problem_id, group_id, len(grams) AS size, unnest(grams) AS gram FROM known
), alike AS (
    SELECT one.group_id AS one, other.group_id AS other
    FROM gram AS one JOIN gram AS other USING (gram)
    WHERE one.problem_id < other.problem_id AND one.group_id <> other.group_id
    GROUP BY one.problem_id, other.problem_id, one.group_id, other.group_id
    HAVING count(*) / (any_value(one.size) + any_value(other.size) - count(*)) >= $near
)
SELECT DISTINCT one, other FROM alike ORDER BY ALL
