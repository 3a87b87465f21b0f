-- Solutions of the run in strata of what the machine said, each with its place in a draw by hash within its stratum;
-- as many of each stratum as the whole sample may hold.
SELECT solution_id, generator, verdict, stratum, count(*) OVER (PARTITION BY generator, stratum) AS population,
       row_number() OVER (PARTITION BY generator, stratum ORDER BY md5($seed || solution_id)) AS place
FROM (
    SELECT solution_id, generator, verdict,
           CASE WHEN verdict = 'incorrect' THEN 'incorrect'
                WHEN verdicts.soundness = 'unsound' OR judgements.soundness = 'unsound' THEN 'correct, found unsound'
                WHEN judgements.soundness = 'sound' THEN 'correct, judged sound'
                ELSE 'correct, not judged' END AS stratum
    FROM solutions JOIN verdicts USING (solution_id) LEFT JOIN judgements USING (solution_id)
    WHERE verdict IN ('correct', 'incorrect')
)
QUALIFY place <= $sample
ORDER BY generator, stratum, place
