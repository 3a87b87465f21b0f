"""Annotated solutions in steps, with labels and values for reward models of the process."""

import pyarrow as pa

from stepforge.builders.configs.base import CHECKED_BY, PROBLEM, PROMPT, SOLUTION, SOUNDNESS, Config, RowTest
from stepforge.builders.tables import BOOL, INT, REAL, TEXT, column

CONFIG = Config(
    "stepwise", 5, ("solution_id",), "solutions in steps, each with a label and a value; process reward models",
    (PROBLEM, SOLUTION, PROMPT, column("completions", pa.list_(TEXT), "The steps."),
     column("labels", pa.list_(BOOL), "After this step a correct answer can still be reached; null where undecided."),
     column("values", pa.list_(REAL), "q after each step, null where unknown; the model's where the recipe says so."),
     column("rollouts", pa.list_(INT), "Rollouts after each step; 0 for the last one, whose value is the verdict."),
     column("successes", pa.list_(INT), "How many of them reached a correct answer."), SOUNDNESS, CHECKED_BY),
    solutions={"solution_id": "any"}, annotated=True,
    tests=(RowTest("steps, labels, values and rollouts differ in number", ("stepwise.rollouts",),
                   "SELECT 'stepwise', solution_id FROM stepwise WHERE len(labels) <> len(completions) "
                   "OR len(\"values\") <> len(completions) OR len(rollouts) <> len(completions)"),
           RowTest("a step counts as lost and a later one does not", ("stepwise.labels",),
                   "SELECT 'stepwise', solution_id FROM stepwise WHERE array_to_string(list_transform(labels, "
                   "lambda label: CASE label WHEN true THEN 't' WHEN false THEN 'f' ELSE '' END), '') LIKE '%f%t%'"),
           RowTest("a step of a correct solution counts as lost", ("stepwise.labels", "solutions.verdict"),
                   "SELECT 'stepwise', solution_id FROM stepwise JOIN solutions USING (solution_id) "
                   "WHERE verdict = 'correct' AND labels[-1] = false")))
