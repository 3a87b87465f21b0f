"""Correct solutions."""

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
    Training,
    optional,
    solutions_with,
)
from stepforge.builders.tables import INT, REAL, column

CONFIG = Config(
    "positives", 2, ("solution_id",), "correct solutions; SFT and rejection-sampling fine-tuning",
    (PROBLEM, SOLUTION, GENERATOR, PROMPT, COMPLETION, COMPLETE, SOUNDNESS, CHECKED_BY,
     optional("spurious_share", REAL, "Share of the text in spurious steps; null if unknown."),
     column("behind_answer", INT, "Number of characters after the line that states the answer."),
     ORIGIN),
    solutions={"solution_id": "correct"}, texts=("prompt", "completion"), chat=("complete",), sampled=True,
    made_of=solutions_with("'correct'"),
    training=Training("Fine-tune on correct solutions (SFT)",
                      'row["complete"] is not False and row["soundness"] != "unsound"', "SFT",
                      ("prompt", "completion")))
