"""Correct and incorrect solutions with a label."""

from stepforge.builders.configs.base import (
    COMPLETE,
    COMPLETION,
    GENERATOR,
    PROBLEM,
    PROMPT,
    SOLUTION,
    Config,
    RowTest,
    Training,
    optional,
)
from stepforge.builders.tables import BOOL, column

CONFIG = Config(
    "unpaired", 4, ("solution_id",), "correct and incorrect solutions with a label; KTO",
    (PROBLEM, SOLUTION, GENERATOR, PROMPT, COMPLETION, COMPLETE,
     column("label", BOOL, "The final answer is correct."),
     optional("sound", BOOL, "Of a correct one: as in positives; null for an incorrect one.")),
    solutions={"solution_id": "any"}, texts=("prompt", "completion"), chat=("complete",),
    training=Training("Learn from labels without pairs (KTO)", "KTO", ("prompt", "completion", "label")),
    tests=(RowTest("a label differs from the verdict", ("unpaired.label", "solutions.verdict"),
                   "SELECT 'unpaired', solution_id FROM unpaired JOIN solutions USING (solution_id) "
                   "WHERE label <> (verdict = 'correct')"),))
