"""Incorrect solutions, with the step that lost them."""

from stepforge.builders.configs.base import (
    A_PIT_WITHOUT_A_FALL,
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
    optional,
    solutions_with,
)
from stepforge.builders.tables import INT, REAL, TEXT

CONFIG = Config(
    "negatives", 3, ("solution_id",), "incorrect solutions, with the index of the first pit; analysis, KTO",
    (PROBLEM, SOLUTION, GENERATOR, PROMPT, COMPLETION, COMPLETE, SOUNDNESS, CHECKED_BY,
     optional("pit", TEXT, "found; doubtful if the fall of q at the step may be chance; none if the rule names no "
                           "step; null if not annotated."),
     optional("pit_index", INT, "Index of the first pit, from 0; null without one."),
     optional("fall_low", REAL, "Smallest fall of q at the pit, at 95% probability."), ORIGIN),
    solutions={"solution_id": "incorrect"}, texts=("prompt", "completion"), chat=("complete",), sampled=True,
    made_of=solutions_with("'incorrect'"),
    tests=(RowTest(A_PIT_WITHOUT_A_FALL, ("negatives.fall_low",),
                   "SELECT 'negatives', solution_id FROM negatives "
                   "WHERE pit_index IS NOT NULL AND NOT coalesce(fall_low > 0, false)"),))
