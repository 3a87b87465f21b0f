"""Annotated solutions in steps, with labels and values for reward models of the process."""

import pyarrow as pa

from stepforge.builders.configs.base import (
    ANNOTATED,
    CHECKED_BY,
    PROBLEM,
    PROMPT,
    SOLUTION,
    SOUNDNESS,
    Config,
    RowTest,
)
from stepforge.builders.tables import BOOL, INT, REAL, TEXT, column

CONFIG = Config(
    "stepwise", 5, ("solution_id",), "solutions in steps, each with a label and a value; process reward models",
    (PROBLEM, SOLUTION, PROMPT, column("completions", pa.list_(TEXT), "Steps of the solution."),
     column("labels", pa.list_(BOOL), "Label per step: whether a correct answer can still be reached from after it; "
                                      "null if undecided."),
     column("values", pa.list_(REAL), "Value q after each step, measured or from the model as the recipe says; null "
                                      "if unknown."),
     column("rollouts", pa.list_(INT), "Valid rollouts after each step; 0 after the last one, whose value is the "
                                       "verdict."),
     column("successes", pa.list_(INT), "Rollouts that reached a correct answer."), SOUNDNESS, CHECKED_BY),
    solutions={"solution_id": "any"}, annotated=True, made_of=ANNOTATED,
    tests=(RowTest("steps, labels, values and rollouts differ in number", ("stepwise.rollouts",),
                   "SELECT 'stepwise', solution_id FROM stepwise WHERE len(labels) <> len(completions) "
                   "OR len(\"values\") <> len(completions) OR len(rollouts) <> len(completions)"),
           RowTest("a step counts as lost and a later one does not", ("stepwise.labels",),
                   "SELECT 'stepwise', solution_id FROM stepwise WHERE array_to_string(list_transform(labels, "
                   "lambda label: CASE label WHEN true THEN 't' WHEN false THEN 'f' ELSE '' END), '') LIKE '%f%t%'"),
           RowTest("a step of a correct solution counts as lost", ("stepwise.labels", "solutions.verdict"),
                   "SELECT 'stepwise', solution_id FROM stepwise JOIN solutions USING (solution_id) "
                   "WHERE verdict = 'correct' AND labels[-1] = false")))
