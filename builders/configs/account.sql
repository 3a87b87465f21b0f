-- What configs leave out of that which they could hold, by reason: solutions, pairs of a negative by rule or mode,
-- problems. Rows in are rows out and these. Reads what account_ids.sql and weighed.sql have made.
WITH lost AS (
    SELECT negative_ids.solution_id, coalesce(has_pit, false) AS has_pit, loser_ids.solution_id IS NOT NULL AS pairs,
           loser_ids.turn
    FROM negative_ids LEFT JOIN loser_ids USING (solution_id) WHERE origin = 'sample'
), reasons AS (
    SELECT 'positives' AS config, solution_id AS id, coalesce(excluded, 'cap') AS reason
    FROM candidate_ids ANTI JOIN positive_ids USING (solution_id) WHERE verdict = 'correct'
    UNION ALL
    SELECT 'negatives', solution_id, coalesce(excluded, 'cap')
    FROM candidate_ids ANTI JOIN negative_ids USING (solution_id) WHERE verdict = 'incorrect'
    UNION ALL
    SELECT 'stepwise', solution_id, left_out FROM annotated_ids WHERE left_out IS NOT NULL
    UNION ALL
    SELECT 'stepwise', solution_id, disagreement
    FROM annotated_ids JOIN disputed USING (solution_id) WHERE left_out IS NULL
    UNION ALL
    SELECT 'weighted', solution_id, left_out FROM annotated_ids WHERE left_out IS NOT NULL
    UNION ALL
    SELECT 'weighted', solution_id,
           CASE WHEN getvariable('after_pit') = 'drop' AND unreached THEN 'never_reached' ELSE 'no_advantage' END
    FROM placed_ids ANTI JOIN weighed USING (solution_id)
    UNION ALL
    SELECT 'pairs', solution_id || rule,
           CASE WHEN NOT pairs THEN 'no_pit' WHEN turn >= getvariable('max_pairs_per_problem') THEN 'cap'
                ELSE 'no_positive' END
    FROM lost, (VALUES ('random'), ('max_edit_distance')) AS rules(rule)
    ANTI JOIN pair_ids ON pair_ids.solution_id = lost.solution_id AND pair_ids.rule = rules.rule
    UNION ALL
    SELECT 'step_pairs', lost.solution_id || modes.mode,
           CASE WHEN repeats THEN 'duplicate' WHEN NOT has_pit THEN 'no_pit'
                WHEN turn >= getvariable('max_pairs_per_problem') THEN 'cap'
                WHEN disagreement IS NOT NULL THEN disagreement
                WHEN modes.mode = 'full_vs_truncated' THEN 'no_positive' ELSE 'no_better_step' END
    FROM (FROM lost LEFT JOIN disputed_pit USING (solution_id)) AS lost,
         (VALUES ('full_vs_truncated'), ('shared_prefix')) AS modes(mode)
    LEFT JOIN step_pair_ids ON step_pair_ids.solution_id = lost.solution_id AND step_pair_ids.mode = modes.mode
    WHERE coalesce(repeats, true)
    UNION ALL
    SELECT 'rl', problem_id, CASE WHEN unreadable THEN 'gold_unparseable' ELSE 'pass_rate' END
    FROM rated ANTI JOIN task USING (problem_id)
), same_rows(config, other) AS (VALUES ('positives', 'unpaired'), ('negatives', 'unpaired'), ('rl', 'rl_verl'))
SELECT config, reason, count(*) AS rows
FROM (FROM reasons UNION ALL SELECT other, id, reason FROM reasons JOIN same_rows USING (config))
GROUP BY ALL ORDER BY config, reason
