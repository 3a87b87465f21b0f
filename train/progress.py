"""Progress as a reward of steps: GRPO that also pays every token for what its step adds to the chance of success.

In: what the model samples in GRPO, and a process reward model, such as `train prm` makes of a release. Out: an
advantage for each token. PAV-RL weighs the log-probability of a step `a` behind the steps `s` by
Q(s, a) + α A(s, a) (Setlur et al., arXiv 2410.08146, section 3): Q under the policy that learns, A under the prover,
whose rollouts the reward model has learnt. Here Q is estimated as in GRPO, by the reward of the completion less the
mean reward of its group, and A is the reward model's value at the end of the step less that at the end of the step
before.

A reward model has no value of the bare problem. In its place, for the first step, stands the mean over the group of
the values after the first step. Like GRPO's own mean over n samples, that baseline changes the expected gradient only
by the factor (n - 1) / n. Two kinds of steps have no progress: one that the length limit cuts off, and those of a
completion that is empty or too long for the reward model. TRL logs the share of cut completions as
`completions/clipped_ratio`; `progress/unread` is the share in which no step has a value.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from math import nan
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from trl import GRPOTrainer

from stepforge.builders.errors import UserError
from stepforge.pipelines.credit.split import split
from stepforge.pipelines.inference.step_scores import check_model, score_steps
from stepforge.pipelines.options.base import Splitter
from stepforge.pipelines.options.stages import Annotate
from stepforge.train.release import Release, ReleaseError


class Prover(NamedTuple):
    """A process reward model, the cut into steps that it was trained on, and the weight α of progress."""

    model: str
    steps: Callable[[str], list[str]]
    alpha: float


class Valued(NamedTuple):
    """A completion: the values of its whole steps, and after each step the number of tokens up to its end."""

    values: list[float]
    ends: list[int]


def open_prover(model: str, alpha: float, splitter: str | None, release: Release) -> Prover:
    """Steps are cut by `splitter`, or as the release's `annotate` cuts them. ReleaseError for what cannot be used."""
    if not 0 < alpha < float("inf"):
        raise ReleaseError(f"--alpha {alpha}: allowed is a number above 0; without --prm only the answer is rewarded")
    if splitter is not None and splitter not in get_args(Splitter):
        raise ReleaseError(f"--splitter {splitter!r}: allowed are {', '.join(get_args(Splitter))}")
    try:
        check_model(model, None)
    except UserError as error:
        raise ReleaseError(f"--prm: {error}") from error
    annotated = (release.manifest.get("recipe") or {}).get("annotate") or {}
    name, most = (annotated.get(key, Annotate.model_fields[key].default) for key in ("splitter", "max_steps"))
    return Prover(model, partial(split, splitter or name, max_steps=most), alpha)


def value_steps(
    prover: Prover, tokenizer: PreTrainedTokenizerBase, prompt: str, ids: list[int], device: str
) -> Valued:
    """The steps that the tokens `ids` behind a prompt make; no values where they are none or too long to be read.

    A token belongs to the step that holds its last character, EOS to the last one.
    """
    def text(count: int) -> str:
        return str(tokenizer.decode(ids[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False))

    steps = prover.steps(text(len(ids)))
    ends = [bisect_right(range(len(ids) + 1), end, key=lambda count: len(text(count))) - 1
            for end in accumulate(map(len, steps))]
    values = score_steps(prover.model, None, prompt, steps, device) if steps else None
    whole = ids[-1:] == [tokenizer.eos_token_id]
    return Valued((values or [])[:len(steps) if whole else -1], ends)


def progress_of_tokens(completions: list[Valued], baselines: list[float], length: int) -> Tensor:
    """(completions, length): for each token the value after its step less that before it, 0 where it is unknown.

    `baselines` has for each completion what stands for the value before its first step.
    """
    progress = torch.zeros(len(completions), length)
    for row, (values, ends), baseline in zip(progress, completions, baselines, strict=True):
        for after, before, (start, end) in zip(values, [baseline, *values], pairwise([0, *ends]), strict=False):
            row[start:end] = after - before
    return progress


def mean_of_group(first: Tensor, size: int, process: int, rows: int) -> list[float]:
    """For each of the `rows` of a process the mean, without NaN, of its group of `size` in all processes' `first`."""
    means = first.view(-1, size).nanmean(1).repeat_interleave(size)
    return [float(mean) for mean in means[process * rows:(process + 1) * rows]]


class ProgressTrainer(GRPOTrainer):
    """GRPO in which each token's advantage holds, besides that of its completion, α times the progress of its step."""

    def __init__(self, *args: Any, prover: Prover, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prover = prover

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch, its advantages (rows,) made (rows, tokens)."""
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        ids, masks, advantages = (output[key] for key in ("completion_ids", "completion_mask", "advantages"))
        mode, device = "train" if self.model.training else "eval", self.accelerator.device
        valued = [value_steps(self.prover, self.processing_class, row["prompt"], tokens[mask.bool()].tolist(),
                              str(device)) for row, tokens, mask in zip(inputs, ids, masks, strict=True)]
        first = torch.tensor([one.values[0] if one.values else nan for one in valued], device=device)
        everyone = self.accelerator.gather(first)  # a group may lie on several processes
        size = self.num_generations if mode == "train" else self.num_generations_eval
        baselines = mean_of_group(everyone, size, self.accelerator.process_index, len(valued))
        progress = progress_of_tokens(valued, baselines, ids.shape[1])
        self._metrics[mode]["progress/unread"].append(everyone.isnan().float().mean().item())
        output["advantages"] = advantages[:, None] + self.prover.alpha * progress.to(advantages)
        return output
