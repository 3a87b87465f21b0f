"""Tests on the rows of several configs of a release: that they say the same of one problem, solution or step.

In go views of fixed names, one per config, and five over all of them:
    `members`  (config, split, problem_id): every row
    `uses`     (config, trains, solution_id, wanted, problem_id, generator): every solution that a row names
    `texts`    (config, whole, solution_id, text, complete): every text that is a solution's, or the beginning of one
    `prompts`  (config, problem_id, prompt): every prompt
    `known`    (solution_id): every solution, and every rollout, which may stand in the place of one
Each test is one statement that finds bad rows as (config, id), so it can be read and run alone.
"""

from stepforge.builders.configs.base import RowTest

SAME = 1e-9  # numbers that were computed in another order
# Letters and digits alone, so that a prompt may hold its problem as JSON, too.
_LETTERS = r"lower(regexp_replace({}, '\\u[0-9a-fA-F]{{4}}|\\[nrt]|[^A-Za-z0-9]', '', 'g'))"

MEMBERS = (
    RowTest("a problem is in more than one split", ("members",),
            "SELECT string_agg(DISTINCT config, ', '), problem_id FROM members GROUP BY problem_id "
            "HAVING count(DISTINCT split) > 1"),
    RowTest("a problem_id is not among the problems", ("members", "problems"),
            "SELECT config, problem_id FROM members ANTI JOIN problems USING (problem_id)"),
    RowTest("the text of a problem is in more than one split", ("problems.problem",),
            "SELECT 'problems', min(problem_id) FROM problems "
            "GROUP BY lower(regexp_replace(trim(problem), '\\s+', ' ', 'g')) HAVING count(DISTINCT split) > 1"),
    RowTest("a prompt does not contain its problem", ("prompts", "problems.problem"),
            "SELECT config, problem_id FROM prompts JOIN problems USING (problem_id) "
            f"WHERE NOT contains({_LETTERS.format('prompt')}, {_LETTERS.format('problem')})"),
)
SOLUTIONS = (
    RowTest("a solution is not among the solutions", ("uses", "known"),
            "SELECT config, solution_id FROM uses ANTI JOIN known USING (solution_id)"),
    RowTest("a rollout has another problem or verdict than its place demands", ("uses", "rollouts.verdict"),
            "SELECT config, uses.solution_id FROM uses JOIN rollouts ON uses.solution_id = rollout_id "
            "WHERE uses.problem_id <> rollouts.problem_id OR verdict <> wanted AND wanted <> 'any' OR "
            "verdict = 'undecided'"),
    RowTest("a text is not that of its rollout",
            ("texts", "rollouts.completion", "solutions.solution", "steps.end"),
            "SELECT config, texts.solution_id FROM texts JOIN rollouts ON texts.solution_id = rollout_id "
            "LEFT JOIN solutions ON solutions.solution_id = rollouts.solution_id "
            "LEFT JOIN steps ON steps.solution_id = rollouts.solution_id AND steps.step_index = rollouts.step_index "
            "WHERE NOT starts_with(coalesce(substr(solution, 1, \"end\"), '') || completion, text)"),
    RowTest("a training row uses an undecided solution", ("uses", "solutions.verdict"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE verdict = 'undecided' AND trains"),
    RowTest("a solution has another verdict than its place demands", ("uses", "solutions.verdict"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE wanted <> 'any' AND verdict NOT IN (wanted, 'undecided')"),
    RowTest("a solution is of another problem than its row", ("uses", "solutions.problem_id"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE uses.problem_id <> solutions.problem_id"),
    RowTest("a generator is not that of its solution", ("uses", "solutions.generator"),
            "SELECT config, solution_id FROM uses JOIN solutions USING (solution_id) "
            "WHERE uses.generator <> solutions.generator"),
    RowTest("a text is not that of its solution", ("texts", "solutions.solution"),
            "SELECT config, solution_id FROM texts JOIN solutions USING (solution_id) "
            "WHERE NOT CASE WHEN whole THEN starts_with(solution, text) ELSE contains(solution, text) END"),
    RowTest("a text ends otherwise than its solution", ("texts", "solutions.solution", "solutions.complete"),
            "SELECT config, solution_id FROM texts JOIN solutions USING (solution_id) "
            "WHERE text = solution AND coalesce(texts.complete, true) <> coalesce(solutions.complete, true)"),
    RowTest("a pass rate is not that of the verdicts", ("problems.generators", "solutions.verdict"),
            "SELECT 'problems', problem_id FROM "
            "(SELECT problem_id, unnest(generators, recursive := true) FROM problems) AS rated LEFT JOIN "
            "(SELECT problem_id, generator, count(*) FILTER (verdict = 'correct') AS won, count(*) AS samples "
            "FROM solutions GROUP BY ALL) AS counted USING (problem_id, generator) "
            "WHERE n_correct <> coalesce(won, 0) OR n_samples > coalesce(samples, 0) "
            f"OR abs(pass_rate - n_correct / n_samples) > {SAME}"),
)
TASKS = (
    RowTest("an answer is not that of its problem", ("rl.answer", "problems.answer"),
            "SELECT 'rl', problem_id FROM rl JOIN problems USING (problem_id) WHERE rl.answer <> problems.answer"),
    RowTest("a pass rate is not that of its problem", ("rl.pass_rate", "rl.generator", "problems.generators"),
            "SELECT 'rl', problem_id FROM (SELECT problem_id, rl.n_samples, pass_rate, list_filter(generators, "
            "lambda rate: rl.generator IS NULL OR rate.generator = rl.generator) AS rates "
            "FROM rl JOIN problems USING (problem_id)) WHERE "
            "n_samples <> coalesce(list_sum(list_transform(rates, lambda rate: rate.n_samples)), 0) OR "
            "abs(pass_rate * n_samples - list_sum(list_transform(rates, lambda rate: rate.n_correct))) > 1e-6"),
)
STEPS = (
    RowTest("the steps of a solution do not join to its text", ("steps.step", "solutions.solution"),
            "SELECT 'steps', solution_id FROM (SELECT solution_id, string_agg(step, '' ORDER BY step_index) AS whole, "
            "min(step_index) = 0 AND max(step_index) = count(*) - 1 AS counted FROM steps GROUP BY solution_id) "
            "JOIN solutions USING (solution_id) WHERE whole <> solution OR NOT counted"),
    RowTest("a step does not stand where it says", ("steps.start", "steps.end", "solutions.solution"),
            "SELECT 'steps', solution_id FROM steps JOIN solutions USING (solution_id) "
            "WHERE substr(solution, start + 1, \"end\" - start) <> step"),
    RowTest("an advantage is not the difference of two values", ("steps.advantage", "steps.q"),
            "SELECT 'steps', solution_id FROM (SELECT solution_id, step_index, advantage, q, lag(q) OVER "
            "(PARTITION BY solution_id ORDER BY step_index) AS before FROM steps) "
            f"WHERE step_index > 0 AND abs(advantage - (q - before)) > {SAME}"),
    RowTest("a value is no probability, or not within its interval", ("steps.q_low", "steps.rollouts"),
            "SELECT 'steps', solution_id FROM steps WHERE q NOT BETWEEN 0 AND 1 OR q_low > q OR q > q_high "
            "OR successes NOT BETWEEN 0 AND rollouts"),
    RowTest("more rollouts reach the answer, or more fail, than a step counts",
            ("rollouts.verdict", "rollouts.origin", "steps.successes"),
            "SELECT 'rollouts', solution_id FROM (SELECT solution_id, step_index, "
            "count(*) FILTER (verdict = 'correct') AS won, count(*) FILTER (verdict = 'incorrect') AS lost "
            "FROM rollouts WHERE origin = 'prefix' GROUP BY ALL) JOIN steps USING (solution_id, step_index) "
            "WHERE won > successes OR lost > rollouts - successes"),
    RowTest("the steps of a row do not join to its solution", ("stepwise.completions", "solutions.solution"),
            "SELECT 'stepwise', solution_id FROM stepwise JOIN solutions USING (solution_id) "
            "WHERE array_to_string(completions, '') <> solution"),
    RowTest("counts of rollouts are not those of the steps",
            ("stepwise.successes", "stepwise.rollouts", "steps.successes"),
            "SELECT 'stepwise', solution_id FROM stepwise JOIN (SELECT solution_id, "
            "list(rollouts ORDER BY step_index) AS tried, list(successes ORDER BY step_index) AS won FROM steps "
            "GROUP BY solution_id) USING (solution_id) WHERE rollouts <> tried OR successes <> won"),
    RowTest("a completion is not cut where its steps end", ("weighted.ends", "steps.end"),
            "SELECT 'weighted', solution_id FROM weighted JOIN (SELECT solution_id, "
            "list(\"end\" ORDER BY step_index) AS found FROM steps GROUP BY solution_id) USING (solution_id) "
            "WHERE ends <> list_slice(found, 1, len(ends))"),
    RowTest("a step with a larger advantage weighs less",
            ("weighted.weights", "steps.advantage", "steps.advantage_model"),
            "SELECT 'weighted', solution_id FROM (SELECT solution_id, advantage_model, "
            "weight < lag(weight) OVER (PARTITION BY solution_id ORDER BY advantage, weight) AS less, "
            "weight < lag(weight) OVER (PARTITION BY solution_id ORDER BY advantage_model, weight) AS less_by_model "
            "FROM (SELECT solution_id, unnest(weights) AS weight, generate_subscripts(weights, 1) - 1 AS step_index "
            "FROM weighted) JOIN steps USING (solution_id, step_index) WHERE weight IS NOT NULL) "
            "GROUP BY solution_id HAVING bool_or(less) AND (count(advantage_model) = 0 OR bool_or(less_by_model))"),
    RowTest("a pit is not that of the steps", ("negatives.pit_index", "steps.is_pit"),
            "SELECT 'negatives', solution_id FROM negatives LEFT JOIN "
            "(SELECT solution_id, step_index FROM steps WHERE is_pit) USING (solution_id) "
            "WHERE pit_index IS DISTINCT FROM step_index"),
    RowTest("a rejected text does not end with the pit of its solution, or has another value",
            ("step_pairs.pit_index", "step_pairs.q_rejected", "steps.is_pit", "steps.step"),
            "SELECT 'step_pairs', rejected_id FROM step_pairs LEFT JOIN steps "
            "ON steps.solution_id = rejected_id AND step_index = pit_index "
            "WHERE NOT coalesce(is_pit AND ends_with(rejected, step), false) OR q IS DISTINCT FROM q_rejected"),
    RowTest("a rejected text is worth more than the chosen one", ("step_pairs.q_chosen", "step_pairs.q_rejected"),
            "SELECT 'step_pairs', rejected_id FROM step_pairs WHERE q_rejected > q_chosen"),
)
TESTS = (*MEMBERS, *SOLUTIONS, *TASKS, *STEPS)
