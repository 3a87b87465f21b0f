"""The tables that stages read and write: one Arrow schema each, with a sentence for every column.

A stage takes whole tables and gives whole tables, so these schemas are the only contract between stages. Ids are
content hashes: the same input gives the same id on any machine. `content_id` makes them, `derive_seed` makes the seed
of every random draw, both from the same canonical bytes.
"""

import hashlib
from typing import NamedTuple

import orjson
import pyarrow as pa


def content_id(*parts: object) -> str:
    """32 hexadecimal digits (128 bits) that depend on the JSON value of `parts` alone."""
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def derive_seed(*parts: object) -> int:
    """A seed in [0, 2**53), from the same bytes as `content_id`: exact in JSON, and a million of them all differ."""
    return int(content_id("seed", *parts)[:16], 16) >> 11


class Table(NamedTuple):
    """A named schema and the columns that identify a row."""

    name: str
    key: tuple[str, ...]
    schema: pa.Schema

    def describe(self) -> dict[str, str]:
        """Column name to its sentence."""
        return {field.name: field.metadata[b"doc"].decode() for field in self.schema}


def column(name: str, kind: pa.DataType, doc: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


def _optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return column(name, kind, doc, nullable=True)


def _table(name: str, key: tuple[str, ...], *fields: pa.Field) -> Table:
    return Table(name, key, pa.schema(fields))


TEXT, INT, REAL, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_LOGPROBS = (
    _optional("logprob_sum", REAL, "Sum of the log-probabilities of its tokens, where the recipe asks for them."),
    _optional("logprob_mean", REAL, "Their mean."),
)

PROBLEMS = _table(
    "problems", ("problem_id",),
    column("problem_id", TEXT, "Hash of problem and answer."),
    column("problem", TEXT, "The problem's text."),
    column("answer", TEXT, "The gold answer."),
    _optional("reference_solution", TEXT, "A solution that came with the problem."),
    column("source", TEXT, "Name of the source the problem came from."),
    column("source_id", TEXT, "The problem's name within its source."),
    _optional("subject", TEXT, "Subject, where the source names one."),
    _optional("level", TEXT, "Difficulty in the source's own words."),
    column("split", TEXT, "Split in the source: train, validation or test."),
    column("group_id", TEXT, "Variants of one problem share it; splits never cut through a group."),
    column("license", TEXT, "License of the problem."),
    _optional("generator", TEXT, "Model that wrote the problem; null when people did."),
    _optional("parent_id", TEXT, "The problem that the model wrote it after."),
    _optional("agreement", REAL, "Share of the solutions by a model that gave the answer, where that made it gold."),
)

EVALUATIONS = _table(
    "evaluations", ("evaluation", "evaluation_id"),
    column("evaluation", TEXT, "Evaluation set: a source and its split, or files."),
    column("evaluation_id", TEXT, "The problem's name within it."),
    column("problem", TEXT, "The problem's text; kept in the run, never published."),
)

CONTAMINATION = _table(
    "contamination", ("problem_id", "evaluation"),
    column("problem_id", TEXT, "The training problem; a dropped one is not in `problems`."),
    column("evaluation", TEXT, "Evaluation set that holds its like."),
    column("evaluation_id", TEXT, "The problem there."),
    column("rule", TEXT, "exact, ngrams or numbers_masked: what makes the two alike."),
    _optional("overlap", REAL, "Share of the evaluation problem's runs of words that the problem holds."),
    column("outcome", TEXT, "dropped or flagged."),
)

DRAFTS = _table(
    "drafts", ("draft_id",),
    column("draft_id", TEXT, "Hash of seed problem, writer, index and text."),
    column("parent_id", TEXT, "The seed problem that it was written after."),
    column("writer_id", TEXT, "generator_id of the model that wrote it, under the prompt for writers."),
    column("index", INT, "Number of the draft among those of its seed problem, from 0."),
    column("problem", TEXT, "The problem as it was read from what the model wrote."),
    column("outcome", TEXT, "kept, or why it was dropped."),
    column("detail", TEXT, "The same in words."),
    _optional("problem_id", TEXT, "The problem that it became."),
    _optional("answer", TEXT, "The answer that most solutions give."),
    _optional("agreement", REAL, "Their share among the solutions that came back."),
    column("solutions", INT, "Solutions that came back."),
    _optional("prompt_tokens", INT, "Tokens that the writer read."),
    _optional("completion_tokens", INT, "Tokens that it wrote."),
    _optional("solver_prompt_tokens", INT, "Tokens that the solver read."),
    _optional("solver_completion_tokens", INT, "Tokens that it wrote."),
)

SOLUTIONS = _table(
    "solutions", ("solution_id",),
    column("solution_id", TEXT, "Hash of problem, generator_id, sample index and text."),
    column("problem_id", TEXT, "The problem that it answers."),
    column("generator", TEXT, "Name of the generator in the recipe."),
    column("generator_id", TEXT, "Hash of model, revision, prompt template and sampling settings."),
    column("sample_index", INT, "Number of the sample among those of its problem and generator, from 0."),
    _optional("seed", INT, "Seed of the sample; null for recorded samples."),
    column("solution", TEXT, "The text that the model wrote."),
    _optional("completion_ids", pa.list_(pa.int32()), "Its tokens, where the engine tells them."),
    _optional("thought", TEXT, "What the model thought before it, where the recipe keeps that apart."),
    column("finish_reason", TEXT, "stop, length, or unknown where nothing says how the text ended."),
    _optional("complete", BOOL, "The model ended the solution itself; null where nothing is known."),
    _optional("prompt_tokens", INT, "Tokens of the prompt."),
    _optional("completion_tokens", INT, "Tokens that the model wrote."),
    *_LOGPROBS,
    _optional("upstream_verdict", TEXT, "Verdict that came with a recorded sample: correct, incorrect, or a word."),
    _optional("upstream_first_error", INT, "The first wrong step that came with it, from 0; -1 where it says none."),
    _optional("upstream_labels", pa.list_(TEXT), "Labels or values of its steps that came with it, as they came."),
)

BUDGETS = _table(
    "budgets", ("generator",),
    column("generator", TEXT, "Generator whose number of samples follows from the budget."),
    column("match", TEXT, "flops, price or samples: what all generators may spend alike."),
    column("budget", REAL, "How much of it one problem may cost."),
    _optional("token_cost", REAL, "What a generated token costs; null where each sample costs 1."),
    column("pilot_samples", INT, "Samples of the pilot that were measured."),
    column("pilot_tokens", INT, "Tokens that they are long together."),
    column("sample_cost", REAL, "Mean cost of one sample, as the pilot has it."),
    column("samples", INT, "Samples of each problem that the budget buys."),
    column("remainder", REAL, "What of the budget of a problem is left over."),
)

VERDICTS = _table(
    "verdicts", ("solution_id",),
    column("solution_id", TEXT, "The solution that was judged."),
    _optional("answer", TEXT, "Final answer found in the solution."),
    _optional("answer_key", TEXT, "Canonical form of the answer, for voting."),
    column("verdict", TEXT, "correct, incorrect or undecided."),
    _optional("reason", TEXT, "Why the verdict is what it is, where that is not plain."),
    column("method", TEXT, "literal, numeric, symbolic, judge, none or a user's verifier's own word: what decided."),
    _optional("equation_key", TEXT, "Hash of the ordered computations: equal for solutions that compute the same."),
    _optional("false_step", INT, "First step that holds a false equation, from 0."),
    _optional("soundness", TEXT, "sound, unsound or undecided: the reasoning, apart from the answer."),
    _optional("judged_by", TEXT, "What judged the soundness: equations."),
)

RULINGS = _table(
    "rulings", ("solution_id",),
    column("solution_id", TEXT, "A solution that the rules left undecided and a model was asked about."),
    column("reason", TEXT, "Why the rules left it undecided."),
    column("ruling", TEXT, "equal, unequal or undecided: what more than half of the votes asked for say."),
    column("votes_equal", INT, "Votes that it gives the gold answer."),
    column("votes_unequal", INT, "Votes that it does not."),
    column("votes_undecided", INT, "Votes that could not tell or be read, or were cut off."),
    _optional("gold_key", TEXT, "Key of the gold answer, which an answer ruled equal takes over."),
    column("judge", TEXT, "Name of the judging generator in the recipe."),
    column("judge_id", TEXT, "Hash of its model, revision, prompt and sampling settings."),
    column("requests", INT, "Requests answered for these votes; 0 where an earlier solution had the same prompt."),
    column("failed", INT, "Requests that got no answer; the next run asks them again."),
    _optional("prompt_tokens", INT, "Tokens of the prompts."),
    _optional("completion_tokens", INT, "Tokens that the judge wrote."),
)

JUDGEMENTS = _table(
    "judgements", ("solution_id",),
    column("solution_id", TEXT, "The solution that a model read."),
    column("soundness", TEXT, "sound, unsound or undecided: what more than half of the votes say."),
    _optional("first_error", INT, "Step, from 0, where most votes for unsound see the first error."),
    column("steps", INT, "Steps that the judge saw."),
    column("votes_sound", INT, "Votes that found no error."),
    column("votes_unsound", INT, "Votes that found one."),
    column("votes_undecided", INT, "Votes that could not be read, or were cut off."),
    column("judge", TEXT, "Name of the judging generator in the recipe."),
    column("judge_id", TEXT, "Hash of its model, revision, prompt and sampling settings."),
    _optional("prompt_tokens", INT, "Tokens of its prompts."),
    _optional("completion_tokens", INT, "Tokens that it wrote."),
)

DUPLICATES = _table(
    "duplicates", ("solution_id",),
    column("solution_id", TEXT, "The solution that was set aside."),
    column("survivor_id", TEXT, "The solution that stays in its place."),
    column("reason", TEXT, "Rule that made the two equal: text, equations or near."),
)

STEPS = _table(
    "steps", ("solution_id", "step_index"),
    column("solution_id", TEXT, "The annotated solution."),
    column("problem_id", TEXT, "Its problem."),
    column("step_index", INT, "Number of the step, from 0."),
    column("step", TEXT, "Text of the step; the steps joined give back the solution."),
    column("start", INT, "Offset of its first character."),
    column("end", INT, "Offset behind its last character."),
    column("splitter", TEXT, "What cut its solution into steps."),
    column("rollouts", INT, "Rollouts from after this step that counted; 0 for a finished solution."),
    column("successes", INT, "How many of them reached a correct answer."),
    _optional("q", REAL, "Estimated probability of success from after this step."),
    _optional("q_low", REAL, "Lower end of its 95% interval."),
    _optional("q_high", REAL, "Upper end of its 95% interval."),
    _optional("advantage", REAL, "q minus the q of the step before (of the bare problem for step 0)."),
    _optional("advantage_low", REAL, "Lower end of its joint 95% interval."),
    _optional("advantage_high", REAL, "Upper end of its joint 95% interval."),
    column("estimator", TEXT, "fixed_n, or sequential where a stopping rule chose the number of rollouts."),
    column("is_pit", BOOL, "This step is the first pit of an incorrect solution, and the fall of q there is certain."),
    _optional("fall_low", REAL, "At the step that the pit rule names: how far q falls there at least, with 95% "
              "probability, against every later step too; is_pit where it is large enough. Null at other steps."),
    _optional("q_model", REAL, "Posterior mean of q under the search's model of chains, which also reads "
              "neighbours and evidence; never a measurement, and from the model alone where `rollouts` is 0."),
    _optional("q_model_low", REAL, "Lower end of its 95% credible interval, which holds as far as the model does."),
    _optional("q_model_high", REAL, "Upper end of the same."),
    _optional("advantage_model", REAL, "Posterior mean of the advantage under that model."),
    _optional("advantage_model_low", REAL, "Lower end of its 95% credible interval."),
    _optional("advantage_model_high", REAL, "Upper end of the same."),
    _optional("pit_probability", REAL, "Posterior probability that this step is the first pit."),
)

ROLLOUTS = _table(
    "rollouts", ("rollout_id",),
    column("rollout_id", TEXT, "Hash of policy, problem, prefix and index."),
    column("problem_id", TEXT, "The problem."),
    _optional("solution_id", TEXT, "The solution whose prefix was continued; null for the bare problem."),
    column("step_index", INT, "Last step of the prefix; -1 for the bare problem."),
    column("index", INT, "Number of the rollout at this prefix, from 0."),
    column("policy", TEXT, "generator_id of the policy that continued it."),
    column("origin", TEXT, "prefix, or alternative where the prefix ends in a candidate for the chosen step."),
    column("token_exact", BOOL, "Continued from the very tokens that were written; else the text was tokenised anew."),
    column("seed", INT, "Seed of the rollout."),
    column("completion", TEXT, "What the policy wrote after the prefix."),
    column("finish_reason", TEXT, "stop, length, unknown; else why there is no text: error, filtered and so on."),
    column("verdict", TEXT, "Verdict on prefix and completion together; undecided where none could be given."),
    _optional("reason", TEXT, "Reason of the verdict, or the error that stood in the way."),
    _optional("completion_tokens", INT, "Tokens that the policy wrote."),
    _optional("prompt_tokens", INT, "Tokens of prompt and prefix."),
    _optional("cached_prompt_tokens", INT, "Prompt tokens that the engine had in its cache."),
    *_LOGPROBS,
)

ALTERNATIVES = _table(
    "alternatives", ("alternative_id",),
    column("alternative_id", TEXT, "Hash of solution, step index and text."),
    column("problem_id", TEXT, "The problem."),
    column("solution_id", TEXT, "The incorrect solution whose pit it would replace."),
    column("step_index", INT, "Index of that pit."),
    column("step", TEXT, "First step of a verified continuation of the prefix before the pit."),
    column("complete", BOOL, "The step ends the solution."),
    column("taken_from", TEXT, "The verified rollout (for a first step: base solution) that it opens."),
    column("sound", BOOL, "None of its equations is false."),
    column("rollouts", INT, "Rollouts of its own that counted."),
    column("successes", INT, "How many of them succeeded."),
    _optional("q", REAL, "Estimated probability of success from after it."),
    _optional("q_low", REAL, "Lower end of its 95% interval."),
    _optional("q_high", REAL, "Upper end of its 95% interval."),
)

DROPS = _table(
    "drops", ("stage", "row_id", "reason"),
    column("stage", TEXT, "Stage that dropped the row."),
    column("row_id", TEXT, "The row: an id, or file and line where it never got one."),
    column("reason", TEXT, "One of the stage's reasons."),
    column("detail", TEXT, "What was wrong, in words."),
)

MEASURES = _table(
    "measures", ("generator", "by", "group", "measure", "k"),
    column("generator", TEXT, "Generator that is measured."),
    column("by", TEXT, "What its problems are grouped by: all, level, subject or source."),
    column("group", TEXT, "The group's name there; all where nothing is grouped."),
    column("measure", TEXT, "coverage, majority, diversity_text, diversity_equations, completion_tokens and so on."),
    _optional("k", INT, "Samples a problem, where the measure has them; the bin, from 0, of a histogram."),
    column("value", REAL, "The estimate; a total for ledgers."),
    _optional("low", REAL, "Lower end of its 95% interval."),
    _optional("high", REAL, "Upper end of its 95% interval."),
    column("interval", TEXT, "How the interval was made: problems, wilson or stratified; none for a total."),
    column("n", INT, "Rows or problems that it was taken over."),
    column("excluded", INT, "Problems with too few samples for this k; for people, solutions of strata left open."),
)

# What people say of a sample of the solutions; kept beside the tables of the run, since no stage makes them.
AUDIT_SAMPLES = _table(
    "audit_samples", ("audit_id", "solution_id"),
    column("audit_id", TEXT, "Hash of the sample: which solutions, of which strata, cut into which steps."),
    column("solution_id", TEXT, "A solution that people are to read."),
    column("generator", TEXT, "Who wrote it."),
    column("verdict", TEXT, "Verdict at the time of the export; people do not see it."),
    column("stratum", TEXT, "What the machine said of the solution; the sample was drawn within it."),
    column("population", INT, "Solutions in the stratum of this generator."),
    column("steps", INT, "Steps that people see."),
)

AUDITS = _table(
    "audits", ("audit_id", "solution_id"),
    column("audit_id", TEXT, "The sample."),
    column("solution_id", TEXT, "The solution that was read."),
    column("soundness", TEXT, "sound, unsound or unsure."),
    _optional("first_error", INT, "First wrong step, from 0, where the person named one."),
    column("comment", TEXT, "What the person wrote beside it."),
)

# What a reward model says of the solutions; kept beside the tables of the run, since no stage makes them.
SOLUTION_SCORES = _table(
    "solution_scores", ("scorer_id", "solution_id"),
    column("scorer_id", TEXT, "Hash of the reward model's weights, the prompt and the splitter."),
    column("solution_id", TEXT, "The solution."),
    column("problem_id", TEXT, "Its problem."),
    column("model", TEXT, "Folder or Hub id of the reward model."),
    column("revision", TEXT, "What identifies its weights: a commit on the Hub, or the hash of its folder's files."),
    column("steps", INT, "Steps of the solution."),
    _optional("score_min", REAL, "Least of the scores of its steps."),
    _optional("score_last", REAL, "Score of its last step."),
    _optional("score_product", REAL, "Product of the scores of its steps."),
    _optional("reason", TEXT, "Why there are none: too_long for the model, or no_steps in an empty solution."),
)

STEP_SCORES = _table(
    "step_scores", ("scorer_id", "solution_id", "step_index"),
    column("scorer_id", TEXT, "The reward model, as in solution_scores."),
    column("solution_id", TEXT, "The solution; joins with `steps` where it was annotated."),
    column("step_index", INT, "Number of the step, from 0."),
    column("start", INT, "Offset of its first character."),
    column("end", INT, "Offset behind its last character."),
    column("score", REAL, "The model's probability that the answer can be reached from after this step."),
)

_ALL = (PROBLEMS, DRAFTS, EVALUATIONS, CONTAMINATION, SOLUTIONS, BUDGETS, VERDICTS, RULINGS, JUDGEMENTS, DUPLICATES,
        STEPS, ROLLOUTS, ALTERNATIVES, DROPS, MEASURES)
TABLES = {table.name: table for table in _ALL}
