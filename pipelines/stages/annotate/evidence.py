"""What the sources of evidence say of a solution that is to be annotated, and how much each of them read.

In: the recipe's `evidence`, a row of annotate.sql, the steps of its solutions. Out: for every solution the first wrong
step that each source names (pipelines/credit/evidence.py). `equations` checks the steps here; `judge` is read from the
table `judgements`; `values` is a process reward model, such as `train prm` makes, which reads the solution in this
process: the first step that it scores below `value_cut` counts as named. A judge's undecided vote is no reading,
and neither is a solution that is too long for the value model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepforge.pipelines.answers import first_false_step
from stepforge.pipelines.credit.evidence import Source
from stepforge.pipelines.inference.step_scores import score_steps
from stepforge.pipelines.options.stages import Annotate


def first_errors(solution: Mapping[str, Any], prompt: str, steps: Sequence[str], settings: Annotate
                 ) -> dict[Source, int | None]:
    """The first wrong step, from 0, that each source names; None where it read the solution and names none.

    Args:
        solution: with `soundness` and `first_error` of its judgement, both null where no judge read it.
        prompt: what the policy reads before the solution, and the value model too.
        steps: of the solution, those that the judge saw.
    """
    errors: dict[Source, int | None] = {}
    if settings.search != "adaptive":
        return errors
    if "equations" in settings.evidence:
        errors["equations"] = first_false_step(steps)
    if "judge" in settings.evidence and solution["soundness"] == "sound":
        errors["judge"] = None
    if "judge" in settings.evidence and solution["soundness"] == "unsound":
        errors["judge"] = solution["first_error"]
    if "values" in settings.evidence:
        assert settings.value_model is not None  # the options refuse it
        scores = score_steps(settings.value_model, settings.value_revision, prompt, steps)
        if scores is not None:
            errors["values"] = next((i for i, score in enumerate(scores) if score < settings.value_cut), None)
    return errors
