-- Pairs of groups with problems that are nearly the same but for their numbers: the Jaccard index of their sets of runs
-- of five words (one run where a text is shorter) is at least $near. Sources that make problems know their own groups.
--
-- Two sets that are that alike share a run among the first size - ceil($near * size) + 1 of each, in any one order of
-- all runs (the prefix filter: Chaudhuri, Ganti and Kaushik, 2006). Rare runs come first, so a stock sentence brings
-- few problems together. Of the problems that such a run does bring together each is compared with the next $crowd
-- ones in the order of their sizes: with all of them up to $crowd + 1 problems; beyond, the time grows with their number
-- and not with its square, and two that are alike may be told so by others between them alone.
CREATE OR REPLACE TEMP TABLE known AS
WITH text AS (
    SELECT group_id, regexp_extract_all(
               regexp_replace(lower(nfc_normalize(problem)), '\d+([.,]\d+)*', '0', 'g'), '[\p{L}\p{N}]+') AS words
    FROM seeds WHERE source NOT IN ('arithmetic', 'star_graph', 'terse_teacher')
), runs AS (
    SELECT group_id, list_sort(list_distinct(
               [hash(words[i:i + 4]) FOR i IN range(1, greatest(1, len(words) - 4) + 1)])) AS grams
    FROM text
)
SELECT row_number() OVER () AS id, len(grams) AS size, grams, list_sort(list_distinct(groups)) AS groups
FROM (SELECT grams, list(group_id) AS groups FROM runs GROUP BY grams);

CREATE OR REPLACE TEMP TABLE frequent AS
SELECT gram, count(*) AS problems FROM (SELECT unnest(grams) AS gram FROM known) GROUP BY gram HAVING count(*) > 8;

CREATE OR REPLACE TEMP TABLE crowd AS
WITH run AS (
    SELECT id, size, unnest(grams) AS gram FROM known
), placed AS (
    SELECT id, size, gram, row_number() OVER (PARTITION BY id ORDER BY coalesce(problems, 0), gram) AS place
    FROM run LEFT JOIN frequent USING (gram)
), shared AS (
    SELECT gram, id, row_number() OVER (PARTITION BY gram ORDER BY size, id) - 1 AS place,
           count(*) OVER (PARTITION BY gram) AS problems
    FROM placed WHERE place <= size - ceil($near * size - 1e-9) + 1 QUALIFY problems > 1
)
SELECT gram, part, list(id ORDER BY place) AS ids
FROM (SELECT gram, id, place, unnest([place // $crowd - 1, place // $crowd]) AS part FROM shared)
GROUP BY gram, part HAVING part >= 0;

WITH pair AS (
    SELECT DISTINCT ids[place] AS one, unnest(ids[place + 1:place + $crowd]) AS other
    FROM (SELECT ids, unnest(range(1, least($crowd + 1, len(ids)))) AS place FROM crowd)
), compared AS (
    SELECT one.groups[1] AS one, other.groups[1] AS other, one.size + other.size AS sizes,
           len(list_intersect(one.grams, other.grams)) AS shared
    FROM pair JOIN known AS one ON pair.one = one.id JOIN known AS other ON pair.other = other.id
    WHERE least(one.size, other.size) >= $near * greatest(one.size, other.size) - 1e-9
)
SELECT one, other FROM compared WHERE shared / (sizes - shared) >= $near AND one <> other
UNION
SELECT groups[1], unnest(groups[2:]) FROM known
ORDER BY ALL
