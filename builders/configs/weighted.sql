-- Advantage-weighted regression: w = min(exp(A / beta), w_max) for each step, scaled so that their mean is 1. The
-- completion of a negative ends with its pit, or without one with the last step from which the answer was reached, unless
-- the steps behind are asked for. A step of unknown advantage has no weight.
SELECT problem_id, solution_id, any_value(prompt) AS prompt, any_value(kept_text) AS completion,
       any_value(kept_complete) AS complete, list("end" ORDER BY step_index) AS ends,
       list(weight ORDER BY step_index) AS weights, any_value(soundness) AS soundness,
       any_value(checked_by) AS checked_by, any_value(split) AS split
FROM weight
GROUP BY problem_id, solution_id, position
ORDER BY position, solution_id
