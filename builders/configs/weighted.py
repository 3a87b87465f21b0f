"""Annotated solutions with a weight for every step."""

import pyarrow as pa

from stepforge.builders.configs.base import (
    CHECKED_BY,
    COMPLETE,
    COMPLETION,
    PROBLEM,
    PROMPT,
    SOLUTION,
    SOUNDNESS,
    Config,
    RowTest,
)
from stepforge.builders.tables import INT, REAL, column

CONFIG = Config(
    "weighted", 6, ("solution_id",), "solutions with a weight for every step; advantage-weighted regression",
    (PROBLEM, SOLUTION, PROMPT, COMPLETION, COMPLETE,
     column("ends", pa.list_(INT), "Character offsets in the completion at which its steps end."),
     column("weights", pa.list_(REAL), "Weight per step: min(exp(advantage / beta), w_max), scaled to mean 1; null if "
                                       "unknown, and then the step is masked in training."), SOUNDNESS, CHECKED_BY),
    solutions={"solution_id": "any"}, texts=("prompt", "completion"), annotated=True,
    tests=(RowTest("the steps do not end where the completion ends, or have no weight each", ("weighted.weights",),
                   "SELECT 'weighted', solution_id FROM weighted WHERE len(ends) <> len(weights) "
                   "OR list_last(ends) <> length(completion)"),))
