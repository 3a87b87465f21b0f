"""Annotated solutions in steps, with labels and values for reward models of the process."""

import pyarrow as pa

from stepforge.builders.configs.base import PROBLEM, PROMPT, SOLUTION, Config, RowTest
from stepforge.builders.tables import BOOL, INT, REAL, TEXT, column

CONFIG = Config(
    "stepwise", 5, ("solution_id",), "solutions in steps, each with a label and a value; process reward models",
    (PROBLEM, SOLUTION, PROMPT, column("completions", pa.list_(TEXT), "The steps."),
     column("labels", pa.list_(BOOL), "After this step a correct answer is still within reach: q > 0."),
     column("values", pa.list_(REAL), "Estimated q after each step."),
     column("rollouts", pa.list_(INT), "Rollouts behind each value; 0 for a finished solution.")),
    solutions={"solution_id": "any"},
    tests=(RowTest("steps, labels, values and rollouts differ in number", ("stepwise.rollouts",),
                   "SELECT 'stepwise', solution_id FROM stepwise WHERE len(labels) <> len(completions) "
                   "OR len(\"values\") <> len(completions) OR len(rollouts) <> len(completions)"),))
