"""What the manifest says of annotate's search, and what a reader of the card must know of the values.

In: the options, the counts of annotate.sql, and what the pilot taught. Out: facts, of which `notes` are whole
sentences that the card prints under its limits.
"""

from typing import Any

from stepforge.pipelines.credit import search as searching
from stepforge.pipelines.credit.advantages import first_success_bias
from stepforge.pipelines.options.stages import Annotate


def search_facts(annotate: Annotate, judged: int, taught: dict[str, Any]) -> dict[str, Any]:
    """Strategy, version, fitted model, evidence and notes.

    Args:
        judged: solutions that the judge decided on.
        taught: the record of the pilot; empty where there was none.
    """
    facts: dict[str, Any] = {"name": annotate.search, "version": searching.VERSION, "chain": taught,
                             "notes": _notes(annotate, taught)}
    if annotate.search == "adaptive":
        facts["evidence"] = {"sources": list(annotate.evidence), "solutions_judged": judged}
        facts["share"] = annotate.share
    return facts


def _notes(annotate: Annotate, taught: dict[str, Any]) -> list[str]:
    notes = []
    if annotate.passing:
        notes.append("A rollout counts for each longer prefix that it passes through in the same tokens, too "
                     "(`passing_rollouts`), so values of neighbouring steps share rollouts.")
    verdict = taught.get("fit", {}).get("verdict")
    if annotate.search == "adaptive" and verdict != "none":
        read = f" and evidence ({', '.join(annotate.evidence)})" if annotate.evidence else ""
        notes.append("Pits and the columns that end in `_model`, `_model_low` and `_model_high` are beliefs of a "
                     f"model that reads rollouts, neighbouring steps{read}. Counts and `q` are measurements.")
    if annotate.search == "adaptive" and annotate.share == "computations" and verdict not in (None, "none"):
        spread = taught["spread"]
        notes.append("Steps after the same computations in other words do not inform each other in the model: the "
                     "pilot did not show that their values are similar." if spread is None else
                     "Steps after the same computations in other words inform each other in the model, whose values "
                     f"differ between wordings by a standard deviation of {spread} in log odds. Counts belong to one "
                     "wording.")
    if verdict == "wider":
        notes.append("The model fitted to the pilot's rollouts did not foretell them; a model that is closer to the "
                     "unfitted one did, and was used.")
    if verdict == "none":
        notes.append("No model foretold the pilot's rollouts, so steps were scanned from left to right instead of the "
                     "adaptive search; the manifest holds what was seen and expected.")
    if annotate.best_of > 1 and annotate.search != "exhaustive":
        bias = first_success_bias(annotate.rollouts, annotate.best_of)
        notes.append(f"Values are those of the best of {annotate.best_of} tries, estimated from a number of rollouts "
                     f"that a stopping rule chose. This biases `q`, by up to {bias:.2f} where a step is left at its "
                     "first success. `q_low` and `q_high` bound the value whatever the rule was.")
    return notes
