"""Right answers for wrong reasons: the share of a model's right answers whose reasoning is found wrong.

In: evaluated rows (evaluate.py). Out: estimates by name. Two finders. A false equation proves a solution wrong, and
most wrong reasoning holds none: that share is a lower bound. A judge is a model that reads the solution and names its
first error; what it cannot read is excluded and counted, and it errs both ways. Both compare models that answer the
same problems; neither is the rate that a person would find.
"""

from collections.abc import Callable, Sequence
from typing import Any

from stepforge.builders.errors import UserError
from stepforge.builders.tables import derive_seed
from stepforge.pipelines.answers import first_false_step
from stepforge.pipelines.credit.split import split
from stepforge.pipelines.inference.sample import sample
from stepforge.pipelines.stages.judge.prompt import CRITIQUE, judge_prompt, read_vote
from stepforge.train.estimates import Estimate, mean_over_problems, proportion

Row = dict[str, Any]
MAX_TOKENS = 512  # of a critique; one that is cut off is undecided


def judge(rows: Sequence[Row], model: str) -> None:
    """Add `judged` (sound, unsound or undecided) to every right answer: the greedy critique of `model`.

    Raises UserError where a row lacks the problem's text, or a prompt does not fit the model.
    """
    if any("problem" not in row for row in rows):
        raise UserError("--judge: the result file holds no problem texts, so it is of an older form; evaluate again")
    asked = [(row, response) for row in rows for response in (row["greedy"], *row["samples"]) if response["correct"]]
    prompts = [judge_prompt(CRITIQUE, row["problem"], row["answer"], None, split("newline", response["solution"]))
               for row, response in asked]
    try:
        critiques = sample(model, prompts, temperature=0.0, max_tokens=MAX_TOKENS)
    except ValueError as error:
        raise UserError(f"--judge {model}: {error}") from error
    for (_, response), (critique,) in zip(asked, critiques, strict=True):
        steps = split("newline", response["solution"])
        response["judged"] = read_vote(critique.text, len(steps), critique.complete).soundness


def false_positives(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Shares of right answers: greedy ones over problems, sampled ones as the mean over problems of their share.

    Problems without a right answer have no share; they are excluded and counted.
    """
    finders: dict[str, Callable[[Row], bool | None]] = {"false equation": _states_a_false_equation}
    if any("judged" in response for row in rows for response in (row["greedy"], *row["samples"])):
        finders["judged unsound"] = _is_judged_unsound
    estimates = {}
    for name, finder in finders.items():
        estimates[f"{name}, greedy"] = proportion([finder(row["greedy"]) if row["greedy"]["correct"] else None
                                                   for row in rows])
        outcomes = [[finder(one) for one in row["samples"] if one["correct"]] for row in rows]
        known = [[outcome for outcome in of_problem if outcome is not None] for of_problem in outcomes]
        shares = [sum(of_problem) / len(of_problem) for of_problem in known if of_problem]
        if any(row["samples"] for row in rows):
            excluded = len(rows) - len(shares)
            estimates[f"{name}, samples"] = mean_over_problems(shares, derive_seed(seed, name), excluded)
    return estimates


def _states_a_false_equation(response: Row) -> bool:
    return first_false_step(split("newline", response["solution"])) is not None


def _is_judged_unsound(response: Row) -> bool | None:
    return None if response.get("judged", "undecided") == "undecided" else bool(response["judged"] == "unsound")
