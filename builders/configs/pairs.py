"""A correct and an incorrect solution of one problem: pairs of whole responses."""

from stepforge.builders.configs.base import (
    CHOSEN_CHECKED_BY,
    CHOSEN_GENERATOR,
    CHOSEN_SOUNDNESS,
    NEGATIVES,
    PROBLEM,
    REJECTED_GENERATOR,
    Config,
    Training,
)
from stepforge.builders.tables import BOOL, TEXT, column

CONFIG = Config(
    "pairs", 1, ("chosen_id", "rejected_id", "rule"),
    "a correct and an incorrect solution of one problem; response-level DPO",
    (PROBLEM, column("chosen_id", TEXT, "solution_id of the correct solution."),
     column("rejected_id", TEXT, "solution_id of the incorrect solution."),
     CHOSEN_GENERATOR, REJECTED_GENERATOR,
     column("prompt", TEXT, "The problem in the prompt of `rejected_generator`."),
     column("chosen", TEXT, "A correct solution."), column("rejected", TEXT, "An incorrect solution."),
     CHOSEN_SOUNDNESS, CHOSEN_CHECKED_BY,
     column("chosen_complete", BOOL, "Whether an end-of-text token follows `chosen`."),
     column("rejected_complete", BOOL, "Whether an end-of-text token follows `rejected`."),
     column("rule", TEXT, "Rule that matched the two: random or max_edit_distance, among positives of "
                          "`rejected_generator` where there are any.")),
    solutions={"chosen_id": "correct", "rejected_id": "incorrect"}, texts=("prompt", "chosen", "rejected"),
    chat=("chosen_complete", "rejected_complete"), sampled=True, made_of=NEGATIVES,
    training=Training("Prefer correct over incorrect solutions (DPO)",
                      'row["rule"] == "random" and row["chosen_complete"] and row["rejected_complete"] '
                      'and row["chosen_soundness"] != "unsound"', "DPO", ("prompt", "chosen", "rejected")))
