-- For every group, measure and k: over how many problems the mean is taken, and the sums that its interval needs.
-- A problem's value is the sum over its classes of the chance that k samples meet the class, in whole billionths:
-- integers add up to the same whatever the order. Problems with fewer than k samples are left out.
WITH value AS (
    SELECT generator, problem_id, measure, k, sum(classes * nano) AS nano
    FROM class JOIN chance USING (n, members) GROUP BY ALL
)
SELECT generator, "by", "group", measure, k, count(*) AS n, sum(nano) AS total,
       sum(nano * nano) AS squares
FROM value JOIN grouping USING (problem_id) GROUP BY ALL
