"""The configs of a release: for each its schema, and the statement `NAME.sql` that makes its rows.

In: the tables of a run as Parquet files, the prompts, and a few numbers. Out: one Parquet file a config, with the
column `split` that later becomes part of the file's name. `pool.sql` says which solutions may be used at all; every
other statement reads its views.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from stepforge.builders import tables
from stepforge.builders.sql import load_sql, open_duckdb, query_to_parquet
from stepforge.builders.tables import BOOL, INT, REAL, TEXT, Table, column

_PROBLEM = column("problem_id", TEXT, "The problem; joins with every other config.")
_SOLUTION = column("solution_id", TEXT, "The solution; joins with `solutions` and `steps`.")
_PROMPT = column("prompt", TEXT, "What the model read.")
_COMPLETION = column("completion", TEXT, "What it wrote; prompt and completion joined are the text it saw and made.")
_MESSAGES = pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))
_ASKED = column("prompt", _MESSAGES, "The user's message: the rendered prompt.")
_TOLD = "The assistant's message; a finished turn, so solutions that were cut off are not here."
_SPLIT = column("split", TEXT, "Split of the release.")


def _config(name: str, key: tuple[str, ...], *fields: pa.Field) -> Table:
    return Table(name, key, pa.schema([*fields, _SPLIT]))


def _optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return column(name, kind, doc, nullable=True)


_COMPLETE = _optional("complete", BOOL, "The model ended the solution itself, so an end-of-text token is due; null "
                                        "where nothing is known and the solution states an answer.")
_RESPONSE = (_PROBLEM, _SOLUTION, column("generator", TEXT, "Who wrote it."), _PROMPT, _COMPLETION, _COMPLETE)
_RATE = pa.struct([("generator", TEXT), ("n_samples", INT), ("n_correct", INT), ("pass_rate", REAL)])

CONFIGS = {config.name: config for config in (
    _config("positives", ("solution_id",), *_RESPONSE,
            _optional("sound", BOOL, "Neither its equations nor a judge found it wrong; null where not looked for."),
            _optional("spurious_share", REAL, "Share of its text in steps that lowered the value; null if unknown."),
            column("origin", TEXT, "sample, or rollout: a verified continuation of another solution's prefix, no "
                                   "independent sample; solution_id is then a rollout_id.")),
    _config("negatives", ("solution_id",), *_RESPONSE,
            _optional("pit_index", INT, "First pit: the step where it was lost, from 0; null where not annotated.")),
    _config("unpaired", ("solution_id",), _PROBLEM, _SOLUTION, _PROMPT, _COMPLETION,
            column("label", BOOL, "The final answer is correct."),
            _optional("sound", BOOL, "Of a correct one: as in positives; null for an incorrect one.")),
    _config("pairs", ("chosen_id", "rejected_id", "rule"), _PROBLEM,
            column("chosen_id", TEXT, "solution_id of the correct solution."),
            column("rejected_id", TEXT, "solution_id of the incorrect one."), _PROMPT,
            column("chosen", TEXT, "A correct solution."), column("rejected", TEXT, "An incorrect solution."),
            _optional("chosen_sound", BOOL, "Whether `chosen` is sound, as in positives."),
            column("rule", TEXT, "How the two were matched: random or max_edit_distance.")),
    _config("step_pairs", ("rejected_id", "mode", "chosen"), _PROBLEM,
            _optional("chosen_id", TEXT, "solution_id of the chosen side; null where it is a step of a rollout."),
            column("rejected_id", TEXT, "solution_id of the incorrect solution."),
            column("prompt", TEXT, "The problem's prompt, and in shared_prefix the steps before the pit."),
            column("chosen", TEXT, "A correct solution, or the better step."),
            column("rejected", TEXT, "The steps up to and with the pit, or the pit alone."),
            _optional("chosen_sound", BOOL, "Whether `chosen` is sound, as in positives; a step, by its equations."),
            column("chosen_complete", BOOL, "An end-of-text token is due behind `chosen`."),
            column("rejected_complete", BOOL, "An end-of-text token is due behind `rejected`."),
            column("mode", TEXT, "full_vs_truncated or shared_prefix."),
            column("pit_index", INT, "Index of the pit in the incorrect solution."),
            _optional("q_chosen", REAL, "Value of the chosen side."),
            _optional("q_rejected", REAL, "Value behind the pit.")),
    _config("stepwise", ("solution_id",), _PROBLEM, _SOLUTION, _PROMPT,
            column("completions", pa.list_(TEXT), "The steps."),
            column("labels", pa.list_(BOOL), "After this step a correct answer is still within reach: q > 0."),
            column("values", pa.list_(REAL), "Estimated q after each step."),
            column("rollouts", pa.list_(INT), "Rollouts behind each value; 0 for a finished solution.")),
    _config("weighted", ("solution_id",), _PROBLEM, _SOLUTION, _PROMPT, _COMPLETION, _COMPLETE,
            column("ends", pa.list_(INT), "Character offsets in the completion where its steps end."),
            column("weights", pa.list_(REAL), "min(exp(advantage / beta), w_max) of each step, scaled to mean 1.")),
    _config("solutions", ("solution_id",), *tables.SOLUTIONS.schema, *list(tables.VERDICTS.schema)[1:],
            _optional("judge_soundness", TEXT, "What a model says of its reasoning; null where none read it."),
            _optional("judge_first_error", INT, "Step, from 0, where that model sees the first error."),
            _optional("judge", TEXT, "That model's name among the generators."),
            column("duplicate", BOOL, "Another solution of the problem says the same.")),
    _config("problems", ("problem_id",),
            *(field for field in tables.PROBLEMS.schema if field.name != "split"),
            column("upstream_split", TEXT, "Split in the source."),
            column("generators", pa.list_(_RATE), "Samples and share of correct ones for each generator.")),
    *(_config(f"{name}_chat", ("solution_id",), _PROBLEM, _SOLUTION, _ASKED, column("completion", _MESSAGES, _TOLD),
              *extra)
      for name, extra in (("positives", ()), ("negatives", ()),
                          ("unpaired", (column("label", BOOL, "The final answer is correct."),)))),
    _config("pairs_chat", ("chosen_id", "rejected_id", "rule"), _PROBLEM,
            column("chosen_id", TEXT, "solution_id of the correct solution."),
            column("rejected_id", TEXT, "solution_id of the incorrect one."), _ASKED,
            column("chosen", _MESSAGES, _TOLD), column("rejected", _MESSAGES, _TOLD),
            column("rule", TEXT, "How the two were matched: random or max_edit_distance.")),
    _config("steps", ("solution_id", "step_index"), *tables.STEPS.schema,
            _optional("spurious", BOOL, "A step of a correct solution that lowered the value; null where unknown.")),
    _config("rollouts", ("rollout_id",), *tables.ROLLOUTS.schema),
)}


def build_configs(names: Iterable[str], inputs: Mapping[str, Path], parameters: Mapping[str, object], folder: Path,
                  memory: str) -> dict[str, int]:
    """Write FOLDER/NAME.parquet for every config that is named; returns rows by config.

    `inputs` holds the tables of builders/tables.py by name and `prompts` (generator, problem_id, prompt, split).
    """
    with open_duckdb(memory, folder / "spill", inputs) as connection:
        for name, value in parameters.items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        connection.execute(load_sql(__package__, "pool"))
        return {
            name: query_to_parquet(connection, load_sql(__package__, name), {}, folder / f"{name}.parquet",
                                   CONFIGS[name].schema)
            for name in names
        }
