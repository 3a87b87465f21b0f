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
    """A named schema and the columns that identify a row.

    `order` sorts the rows of one problem or solution. A `bucketed` table concerns problems one by one, so a large run
    keeps it in parts, one for each bucket of problem ids.
    """

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    order: tuple[str, ...] = ()
    bucketed: bool = False

    def describe(self) -> dict[str, str]:
        """Column name to its sentence."""
        return {field.name: field.metadata[b"doc"].decode() for field in self.schema}


def column(name: str, kind: pa.DataType, doc: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


def optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return column(name, kind, doc, nullable=True)


def make_table(name: str, key: tuple[str, ...], *fields: pa.Field, order: tuple[str, ...] = (), bucketed: bool = False
           ) -> Table:
    return Table(name, key, pa.schema(fields), order or key, bucketed)


TEXT, INT, REAL, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_LOGPROBS = (
    optional("logprob_sum", REAL, "Sum of the log-probabilities of its tokens, if the recipe requests them."),
    optional("logprob_mean", REAL, "Mean of the log-probabilities of its tokens."),
)

PROBLEMS = make_table(
    "problems", ("problem_id",),
    column("problem_id", TEXT, "Hash of the problem's text and answer."),
    column("problem", TEXT, "Text of the problem."),
    column("answer", TEXT, "Gold answer."),
    optional("reference_solution", TEXT, "Reference solution from the source."),
    column("source", TEXT, "Name of the source."),
    column("source_id", TEXT, "Id of the problem in its source."),
    optional("subject", TEXT, "Subject, if the source has one."),
    optional("level", TEXT, "Difficulty in the words of the source."),
    column("split", TEXT, "Split in the source: train, validation or test."),
    column("group_id", TEXT, "Group of related problems, such as variants of one problem; a group is never divided "
                             "between splits."),
    column("license", TEXT, "License of the problem."),
    optional("generator", TEXT, "Model that wrote the problem; null if people wrote it."),
    optional("parent_id", TEXT, "Seed problem after which a model wrote this one."),
    optional("agreement", REAL, "Share of the sampled solutions that gave the gold answer, if a majority determined "
                                 "it."),
    bucketed=True,
)

EVALUATIONS = make_table(
    "evaluations", ("evaluation", "evaluation_id"),
    column("evaluation", TEXT, "Evaluation set: a source and its split, or files."),
    column("evaluation_id", TEXT, "Id of the problem in the evaluation set."),
    column("problem", TEXT, "Text of the evaluation problem; stays in the run and is never published."),
)

CONTAMINATION = make_table(
    "contamination", ("problem_id", "evaluation"),
    column("problem_id", TEXT, "Training problem; dropped ones are not in `problems`."),
    column("evaluation", TEXT, "Evaluation set that contains a match."),
    column("evaluation_id", TEXT, "Matching problem in the evaluation set."),
    column("rule", TEXT, "Rule that matched: exact, ngrams or numbers_masked."),
    optional("overlap", REAL, "Share of the evaluation problem's word n-grams that the training problem contains."),
    column("outcome", TEXT, "What happened to the training problem: dropped or flagged."),
)

DRAFTS = make_table(
    "drafts", ("draft_id",),
    column("draft_id", TEXT, "Hash of seed problem, writer, index and text."),
    column("parent_id", TEXT, "Seed problem of the draft."),
    column("writer_id", TEXT, "generator_id of the writing model with the prompt for writers."),
    column("index", INT, "Index of the draft within its seed problem, from 0."),
    column("problem", TEXT, "Problem text as parsed from the model's output."),
    column("outcome", TEXT, "kept, or the reason for which the draft was dropped."),
    column("detail", TEXT, "Details of the outcome."),
    optional("problem_id", TEXT, "Problem that the draft became."),
    optional("answer", TEXT, "Answer of the majority of solutions."),
    optional("agreement", REAL, "Share of the returned solutions that give this answer."),
    column("solutions", INT, "Number of returned solutions."),
    optional("prompt_tokens", INT, "Prompt tokens of the writer."),
    optional("completion_tokens", INT, "Completion tokens."),
    optional("solver_prompt_tokens", INT, "Prompt tokens of the solver."),
    optional("solver_completion_tokens", INT, "Completion tokens."),
    order=("index",),
)

SOLUTIONS = make_table(
    "solutions", ("solution_id",),
    column("solution_id", TEXT, "Hash of problem, generator_id, sample index and text."),
    column("problem_id", TEXT, "Problem that the solution answers."),
    column("generator", TEXT, "Name of the generator in the recipe."),
    column("generator_id", TEXT, "Hash of model, revision, prompt template and sampling settings."),
    column("sample_index", INT, "Index of the sample within its problem and generator, from 0."),
    optional("seed", INT, "Sampling seed; null for recorded samples."),
    column("solution", TEXT, "Text of the solution."),
    optional("completion_ids", pa.list_(pa.int32()), "Token ids of the solution, if the engine reports them."),
    optional("thought", TEXT, "Thought of a reasoning model, if the recipe stores it separately."),
    column("finish_reason", TEXT, "stop, length or unknown; recorded samples also filtered, tool_calls or aborted."),
    optional("complete", BOOL, "Whether the model ended the solution itself; null if unknown."),
    optional("prompt_tokens", INT, "Prompt tokens."),
    optional("completion_tokens", INT, "Completion tokens."),
    *_LOGPROBS,
    optional("upstream_verdict", TEXT, "Verdict that came with a recorded sample: correct, incorrect, or another "
                                        "word."),
    optional("upstream_first_error", INT, "First wrong step that came with a recorded sample, from 0; -1 for none."),
    optional("upstream_labels", pa.list_(TEXT), "Step labels or values that came with a recorded sample, unchanged."),
    order=("sample_index", "solution_id"), bucketed=True,
)

BUDGETS = make_table(
    "budgets", ("generator",),
    column("generator", TEXT, "Generator whose number of samples the budget determines."),
    column("match", TEXT, "Quantity in which the budgets are equal: flops, price or samples."),
    column("budget", REAL, "Budget per problem."),
    optional("token_cost", REAL, "Cost per generated token; null if each sample costs 1."),
    column("pilot_samples", INT, "Number of pilot samples."),
    column("pilot_tokens", INT, "Total tokens of the pilot samples."),
    column("sample_cost", REAL, "Mean cost per sample in the pilot."),
    column("samples", INT, "Samples per problem that the budget allows."),
    column("remainder", REAL, "Unspent budget per problem."),
)

VERDICTS = make_table(
    "verdicts", ("solution_id",),
    column("solution_id", TEXT, "Judged solution."),
    optional("answer", TEXT, "Final answer extracted from the solution."),
    optional("answer_key", TEXT, "Canonical form of the answer; equal for equal answers."),
    column("verdict", TEXT, "correct, incorrect or undecided."),
    optional("reason", TEXT, "Reason for the verdict, if it needs one."),
    column("method", TEXT, "Method that decided: literal, numeric, symbolic, judge, none, or a word of a custom "
                           "verifier."),
    optional("equation_key", TEXT, "Hash of the ordered computations; equal for solutions that compute the same."),
    optional("false_step", INT, "First step with a false equation, from 0."),
    optional("soundness", TEXT, "Soundness of the reasoning by its equations: unsound or undecided."),
    optional("judged_by", TEXT, "Method that judged the soundness: equations."),
    bucketed=True,
)

RULINGS = make_table(
    "rulings", ("solution_id",),
    column("solution_id", TEXT, "Solution that the rules left undecided."),
    column("reason", TEXT, "Reason for which the rules left it undecided."),
    column("ruling", TEXT, "Decision of more than half of the requested votes: equal, unequal or undecided."),
    column("votes_equal", INT, "Votes for equal to the gold answer."),
    column("votes_unequal", INT, "Votes for unequal."),
    column("votes_undecided", INT, "Votes that are undecided, unreadable or truncated."),
    optional("gold_key", TEXT, "answer_key of the gold answer; an answer ruled equal gets this key."),
    column("judge", TEXT, "Name of the judging generator in the recipe."),
    column("judge_id", TEXT, "Hash of the judge's model, revision, prompt and sampling settings."),
    column("requests", INT, "Answered requests for these votes; 0 if an earlier solution had the same prompt."),
    column("failed", INT, "Failed requests; the next run retries them."),
    optional("prompt_tokens", INT, "Prompt tokens."),
    optional("completion_tokens", INT, "Completion tokens of the judge."),
    bucketed=True,
)

JUDGEMENTS = make_table(
    "judgements", ("solution_id",),
    column("solution_id", TEXT, "Solution that a model judged."),
    column("soundness", TEXT, "Decision of more than half of the votes: sound, unsound or undecided."),
    optional("first_error", INT, "Step, from 0, in which most unsound votes see the first error."),
    column("sampled", BOOL, "Drawn at random, so rates count it; others are judged because their steps have values."),
    column("steps", INT, "Number of steps shown to the judge."),
    column("votes_sound", INT, "Votes for sound."),
    column("votes_unsound", INT, "Votes for unsound."),
    column("votes_undecided", INT, "Votes that are unreadable or truncated."),
    column("judge", TEXT, "Name of the judging generator in the recipe."),
    column("judge_id", TEXT, "Hash of the judge's model, revision, prompt and sampling settings."),
    optional("prompt_tokens", INT, "Prompt tokens."),
    optional("completion_tokens", INT, "Completion tokens."),
    bucketed=True,
)

DUPLICATES = make_table(
    "duplicates", ("solution_id",),
    column("solution_id", TEXT, "Duplicate solution."),
    column("survivor_id", TEXT, "Solution that is kept instead."),
    column("reason", TEXT, "Rule that matched: text, equations or near."),
    bucketed=True,
)

STEPS = make_table(
    "steps", ("solution_id", "step_index"),
    column("solution_id", TEXT, "Annotated solution."),
    column("problem_id", TEXT, "Problem of the solution."),
    column("step_index", INT, "Index of the step, from 0."),
    column("step", TEXT, "Text of the step; the joined steps equal the solution."),
    column("start", INT, "Character offset at which the step starts."),
    column("end", INT, "Character offset at which the step ends."),
    column("splitter", TEXT, "Splitter of the solution."),
    column("rollouts", INT, "Rollouts from after this step, without undecided ones such as `ambiguous` or `timeout`; "
                             "0 after the last step, whose value is the verdict."),
    column("successes", INT, "Rollouts that reached a correct answer."),
    optional("q", REAL, "Estimated probability of a correct answer from after this step."),
    optional("q_low", REAL, "Lower bound of its 95% interval."),
    optional("q_high", REAL, "Upper bound of its 95% interval."),
    optional("advantage", REAL, "q minus the q of the step before; for step 0, minus the pass rate of the bare "
                                "problem: of all samples of the policy, this solution among them if the policy wrote "
                                "it, and of rollouts from the bare problem."),
    optional("advantage_low", REAL, "Lower bound of its joint 95% interval."),
    optional("advantage_high", REAL, "Upper bound of its joint 95% interval."),
    column("estimator", TEXT, "fixed_n, or sequential if a stopping rule chose the number of rollouts."),
    column("is_pit", BOOL, "Whether this step is the first pit of an incorrect solution, with a fall of q that is "
                           "certain at 95%."),
    optional("fall_low", REAL, "At the step that the pit rule names: smallest fall of q at 95% probability, also "
                                "compared with each later step. Null at other steps."),
    optional("q_model", REAL, "Posterior mean of q under the model of the adaptive search, which also uses "
                               "neighbouring steps and evidence. Not a measurement; without rollouts it comes from "
                               "the model alone."),
    optional("q_model_low", REAL, "Lower bound of its 95% credible interval, valid only if the model is."),
    optional("q_model_high", REAL, "Upper bound of the same interval."),
    optional("advantage_model", REAL, "Posterior mean of the advantage under the same model."),
    optional("advantage_model_low", REAL, "Lower bound of its 95% credible interval."),
    optional("advantage_model_high", REAL, "Upper bound of the same interval."),
    optional("pit_probability", REAL, "Posterior probability that this step is the first pit."),
    column("passing_rollouts", INT, "Of `rollouts`, those that started after an earlier step and passed through this "
                                    "one in the same tokens; 0 unless `annotate.passing` is set."),
    column("passing_successes", INT, "Of these, rollouts that reached a correct answer."),
    bucketed=True,
)

ROLLOUTS = make_table(
    "rollouts", ("rollout_id",),
    column("rollout_id", TEXT, "Hash of policy, problem, prefix and index."),
    column("problem_id", TEXT, "Id of the problem."),
    optional("solution_id", TEXT, "A solution that begins with the prefix that was continued; null for the bare "
                                  "problem. Solutions that begin alike share rollouts, and only one of them is named: "
                                  "join by the text of the prefix, not by this id."),
    column("step_index", INT, "Index of the last step of the prefix; -1 for the bare problem."),
    column("index", INT, "Index of the rollout at this prefix, from 0."),
    column("policy", TEXT, "generator_id of the policy."),
    column("origin", TEXT, "prefix, or alternative if the prefix ends in a candidate for the chosen step."),
    column("token_exact", BOOL, "Whether the rollout continues from the exact tokens of the solution; otherwise its "
                                "text was tokenised again."),
    column("seed", INT, "Sampling seed."),
    column("passed", INT, "Longer prefixes that it passed through in the same tokens and counts for, too; 0 unless "
                          "`annotate.passing` is set."),
    column("completion", TEXT, "Text that the policy wrote after the prefix."),
    column("finish_reason", TEXT, "stop, length or unknown; or why there is no text: error, filtered and so on."),
    column("verdict", TEXT, "Verdict on prefix and completion together: correct, incorrect or undecided."),
    optional("reason", TEXT, "Reason for the verdict, or the error."),
    optional("completion_tokens", INT, "Completion tokens."),
    optional("prompt_tokens", INT, "Prompt tokens, including the prefix."),
    optional("cached_prompt_tokens", INT, "Prompt tokens that the engine read from its cache."),
    *_LOGPROBS,
    order=("solution_id", "step_index", "origin", "index", "rollout_id"), bucketed=True,
)

ALTERNATIVES = make_table(
    "alternatives", ("alternative_id",),
    column("alternative_id", TEXT, "Hash of solution, step index and text."),
    column("problem_id", TEXT, "Id of the problem."),
    column("solution_id", TEXT, "Incorrect solution whose pit it could replace."),
    column("step_index", INT, "Index of this pit."),
    column("step", TEXT, "First step of a verified continuation of the prefix before the pit."),
    column("complete", BOOL, "Whether the step ends the solution."),
    column("taken_from", TEXT, "Verified rollout that begins with this step; for a first step, a base solution."),
    column("sound", BOOL, "Whether all of its equations are true."),
    column("rollouts", INT, "Valid rollouts from after this step."),
    column("successes", INT, "Rollouts that reached a correct answer."),
    optional("q", REAL, "Estimated probability of a correct answer from after it."),
    optional("q_low", REAL, "Lower bound of its 95% interval."),
    optional("q_high", REAL, "Upper bound of its 95% interval."),
    order=("solution_id", "step_index", "alternative_id"), bucketed=True,
)

DROPS = make_table(
    "drops", ("stage", "row_id", "reason"),
    column("stage", TEXT, "Stage that dropped the row."),
    column("row_id", TEXT, "Id of the row; if it never had an id, file and line from 1 (in Parquet and Arrow, row "
                           "from 0)."),
    column("reason", TEXT, "Reason of the drop, one of the stage's words."),
    column("detail", TEXT, "Details of the reason."),
)

MEASURES = make_table(
    "measures", ("generator", "by", "group", "measure", "k"),
    column("generator", TEXT, "Measured generator."),
    column("by", TEXT, "Grouping of the problems: all, level, subject or source."),
    column("group", TEXT, "Name of the group; all without grouping."),
    column("measure", TEXT, "Measure: coverage, majority, diversity_text, diversity_equations, completion_tokens and "
                            "so on."),
    optional("k", INT, "Samples per problem, if the measure depends on them; for a histogram the bin, from 0."),
    column("value", REAL, "Estimate; for token counts and FLOPs the total."),
    optional("low", REAL, "Lower bound of its 95% interval."),
    optional("high", REAL, "Upper bound of its 95% interval."),
    column("interval", TEXT, "Method of the interval: problems, wilson or stratified; none for a total."),
    column("n", INT, "Number of rows or problems behind the value."),
    column("excluded", INT, "Problems with too few samples for this k; for audits, solutions of strata without "
                            "answers."),
)

_ALL = (PROBLEMS, DRAFTS, EVALUATIONS, CONTAMINATION, SOLUTIONS, BUDGETS, VERDICTS, RULINGS, JUDGEMENTS, DUPLICATES,
        STEPS, ROLLOUTS, ALTERNATIVES, DROPS, MEASURES)
TABLES = {table.name: table for table in _ALL}
BUCKETED = frozenset(table.name for table in _ALL if table.bucketed)
