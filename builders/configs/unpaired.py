"""Correct and incorrect solutions with a label."""

from stepforge.builders.configs.base import (
    CHECKED_BY,
    COMPLETE,
    COMPLETION,
    GENERATOR,
    ORIGIN,
    PROBLEM,
    PROMPT,
    SOLUTION,
    SOUNDNESS,
    Config,
    RowTest,
    Training,
    solutions_with,
)
from stepforge.builders.tables import BOOL, column

CONFIG = Config(
    "unpaired", 4, ("solution_id",), "correct and incorrect solutions with a label; KTO",
    (PROBLEM, SOLUTION, GENERATOR, PROMPT, COMPLETION, COMPLETE,
     column("label", BOOL, "The final answer is correct."), SOUNDNESS, CHECKED_BY, ORIGIN),
    solutions={"solution_id": "any"}, texts=("prompt", "completion"), chat=("complete",),
    made_of=solutions_with("'correct', 'incorrect'"),
    training=Training("Learn from labels without pairs (KTO)",
                      'row["complete"] is not False and not (row["label"] and row["soundness"] == "unsound")', "KTO",
                      ("prompt", "completion", "label")),
    tests=(RowTest("a label differs from the verdict", ("unpaired.label", "solutions.verdict"),
                   "SELECT 'unpaired', solution_id FROM unpaired JOIN solutions USING (solution_id) "
                   "WHERE label <> (verdict = 'correct')"),
           RowTest("one completion of one prompt has both labels", ("unpaired.label",),
                   "SELECT 'unpaired', min(solution_id) FROM unpaired GROUP BY prompt, completion "
                   "HAVING count(DISTINCT label) > 1")))
