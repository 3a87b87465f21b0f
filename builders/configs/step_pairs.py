"""A better and a worse way on from one point: pairs at the first pit of a negative."""

from stepforge.builders.configs.base import (
    A_PIT_WITHOUT_A_FALL,
    CHOSEN_CHECKED_BY,
    CHOSEN_GENERATOR,
    CHOSEN_SOUNDNESS,
    NEGATIVES,
    PROBLEM,
    REJECTED_GENERATOR,
    Config,
    RowTest,
    Training,
    optional,
)
from stepforge.builders.tables import BOOL, INT, REAL, TEXT, column

CONFIG = Config(
    "step_pairs", 0, ("rejected_id", "mode"), "pairs that differ at the first pit of an incorrect solution; per-step "
                                              "DPO",
    (PROBLEM, optional("chosen_id", TEXT, "solution_id of `chosen`, or of the sample that begins with it; null for a "
                                         "step of a rollout."),
     column("rejected_id", TEXT, "solution_id of the incorrect solution."), CHOSEN_GENERATOR, REJECTED_GENERATOR,
     column("prompt", TEXT, "Prompt of the problem; in shared_prefix followed by the steps before the pit."),
     column("chosen", TEXT, "A correct solution, or the better step in shared_prefix."),
     column("rejected", TEXT, "The steps up to and including the pit; in shared_prefix the pit alone."),
     CHOSEN_SOUNDNESS, CHOSEN_CHECKED_BY,
     column("chosen_complete", BOOL, "Whether an end-of-text token follows `chosen`."),
     column("rejected_complete", BOOL, "Whether an end-of-text token follows `rejected`."),
     column("mode", TEXT, "full_vs_truncated or shared_prefix."),
     column("pit_index", INT, "Index of the pit in the incorrect solution."),
     column("fall_low", REAL, "Smallest fall of q at the pit, at 95% probability."),
     optional("q_chosen", REAL, "Value after `chosen`."),
     optional("q_rejected", REAL, "Value after the pit.")),
    solutions={"chosen_id": "correct", "rejected_id": "incorrect"}, texts=("prompt", "chosen", "rejected"),
    sampled=True, annotated=True, made_of=NEGATIVES,
    tests=(RowTest(A_PIT_WITHOUT_A_FALL, ("step_pairs.fall_low",),
                   "SELECT 'step_pairs', rejected_id FROM step_pairs WHERE fall_low <= 0"),),
    training=Training("Take the step pairs of one mode, for `stepforge.train.step_dpo` or a trainer of your own",
                      'row["mode"] == "shared_prefix" and row["chosen_soundness"] != "unsound"'))
