"""Tables that no stage makes, kept beside those of a run: what people and reward models say of its solutions."""

from stepforge.builders.tables import INT, REAL, TEXT, column, make_table, optional

AUDIT_SAMPLES = make_table(
    "audit_samples", ("audit_id", "solution_id"),
    column("audit_id", TEXT, "Hash of the sample: solutions, strata and steps."),
    column("solution_id", TEXT, "Solution to read."),
    column("generator", TEXT, "Name of the generator."),
    column("verdict", TEXT, "Verdict at the time of the export; hidden from readers."),
    column("stratum", TEXT, "Stratum of the sample: what the automatic methods said of the solution."),
    column("population", INT, "Solutions of this generator in the stratum."),
    column("steps", INT, "Number of steps shown."),
)

AUDITS = make_table(
    "audits", ("audit_id", "solution_id"),
    column("audit_id", TEXT, "Id of the audit sample."),
    column("solution_id", TEXT, "Solution that was read."),
    column("soundness", TEXT, "sound, unsound or unsure."),
    optional("first_error", INT, "First wrong step, from 0, if the reader named one."),
    column("comment", TEXT, "Comment of the reader."),
)

SOLUTION_SCORES = make_table(
    "solution_scores", ("scorer_id", "solution_id"),
    column("scorer_id", TEXT, "Hash of the reward model's weights, the prompt and the splitter."),
    column("solution_id", TEXT, "The solution."),
    column("problem_id", TEXT, "Problem of the solution."),
    column("model", TEXT, "Folder or Hub id of the reward model."),
    column("revision", TEXT, "What identifies its weights: a commit on the Hub, or the hash of its folder's files."),
    column("steps", INT, "Steps of the solution."),
    optional("score_min", REAL, "Least of the scores of its steps."),
    optional("score_last", REAL, "Score of its last step."),
    optional("score_product", REAL, "Product of the scores of its steps."),
    optional("reason", TEXT, "Why there are none: too_long for the model, or no_steps in an empty solution."),
)

STEP_SCORES = make_table(
    "step_scores", ("scorer_id", "solution_id", "step_index"),
    column("scorer_id", TEXT, "The reward model, as in solution_scores."),
    column("solution_id", TEXT, "The solution; joins with `steps` where it was annotated."),
    column("step_index", INT, "Index of the step, from 0."),
    column("start", INT, "Character offset at which the step starts."),
    column("end", INT, "Character offset at which the step ends."),
    column("score", REAL, "The model's probability that the answer can be reached from after this step."),
)
