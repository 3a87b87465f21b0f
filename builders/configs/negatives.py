"""Incorrect solutions, with the step that lost them."""

from stepforge.builders.configs.base import (
    CHECKED_BY,
    COMPLETE,
    COMPLETION,
    GENERATOR,
    PROBLEM,
    PROMPT,
    SOLUTION,
    SOUNDNESS,
    Config,
    optional,
)
from stepforge.builders.tables import INT

CONFIG = Config(
    "negatives", 3, ("solution_id",), "incorrect solutions, with the index of the first pit; analysis, KTO",
    (PROBLEM, SOLUTION, GENERATOR, PROMPT, COMPLETION, COMPLETE, SOUNDNESS, CHECKED_BY,
     optional("pit_index", INT, "First pit: the step where it was lost, from 0; null where not annotated.")),
    solutions={"solution_id": "incorrect"}, texts=("prompt", "completion"), chat=("complete",), sampled=True)
