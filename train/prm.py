"""A process reward model: it reads a solution and says, at the end of every step, how likely a right answer is.

    python -m stepforge.train.prm --config tiny_prm --dataset PATH --loss binomial

In: config `stepwise`, a prompt, the steps, and of each step its rollouts, their successes, its value and its label.
The model classifies tokens in two classes, wrong and right; the target stands on each step's last token. All other
tokens carry no loss, and neither do steps of which nothing is known. TRL has no trainer for this any more.

`--loss` says what of a step is learnt, p being the model's probability of `right`:

- `binomial`: -k log p - (n - k) log(1 - p) for k successes of n rollouts, so that a step weighs as many observations
  as were made of it. The last step has no rollouts, since all of them would end as the solution did: it counts as n
  equal ones, n as large as at any step of its row, one at least.
- `beta_binomial`: -log of B(k + a, n - k + b) / B(a, b), the likelihood of k under a Beta(a, b) belief about the
  value of the step (BetaPRM, arXiv 2605.15529). Here a and b are exp of the scores of right and wrong: the mean,
  a / (a + b), is p, read as with every loss, and a + b says how sure the model is.
- `values`: -v log p - (1 - v) log(1 - p) for the value v, or the label where there is none: the soft estimation of
  Math-Shepherd (arXiv 2312.08935). Every step weighs the same.
- `labels`: the same for the label alone, its hard estimation.

The sum over the steps of a batch is divided by their number and, for counts, by the mean n of the training rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from trl import get_peft_config, get_quantization_config

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.release import ReleaseError
from stepforge.train.script import start, user_errors
from stepforge.train.tokens import IGNORE, Tokens, encode, step_of_each_token

Loss = Literal["binomial", "beta_binomial", "values", "labels"]
COLUMNS = {"prompt": "text", "completions": "list of text", "labels": "list of bool", "values": "list of real"}
COUNTS = {"rollouts": "list of int", "successes": "list of int"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    loss: Loss = field(default="binomial", metadata={
        "help": "What is learnt of a step: its counts (binomial, beta_binomial), its value or its label."})


@dataclass
class PRMConfig(TrainingArguments):
    """transformers' own arguments, with the ones that TRL's trainers add."""

    max_length: int | None = field(default=1024, metadata={"help": "Rows of more tokens are dropped and counted."})
    model_init_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "More arguments for from_pretrained."})


def binomial(scores: Tensor, successes: Tensor, trials: Tensor) -> Tensor:
    """-k log p - (n - k) log(1 - p) of each step, p from its scores of wrong and right.

    Args:
        scores: (steps, 2).
        successes: (steps,), from 0 to `trials`; reals where a value stands for one trial.
        trials: (steps,).
    """
    wrong, right = scores.log_softmax(1).unbind(1)
    return -successes * right - (trials - successes) * wrong


def beta_binomial(scores: Tensor, successes: Tensor, trials: Tensor) -> Tensor:
    """-log [B(k + a, n - k + b) / B(a, b)] of each step, a and b being exp of its scores of right and wrong.

    Arguments as of `binomial`; whole numbers. Each Beta function is a product of rising factorials, x (x + 1) ...
    (x + count - 1), so that nothing overflows: for large a + b this is `binomial`.
    """
    before = torch.arange(int(trials.max()) if len(trials) else 0, device=scores.device, dtype=scores.dtype)

    def rising(score: Tensor, count: Tensor) -> Tensor:
        return (torch.logaddexp(score[:, None], before.log()) * (before < count[:, None])).sum(1)

    wrong, right = scores.unbind(1)
    return (rising(scores.logsumexp(1), trials) - rising(right, successes) - rising(wrong, trials - successes))


LIKELIHOODS: dict[Loss, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "binomial": binomial, "beta_binomial": beta_binomial, "values": binomial, "labels": binomial}


class StepTrainer(Trainer):
    """Trains on `labels`, the successes at the last token of each known step and -100 elsewhere, and on `trials`."""

    def __init__(self, *args: Any, loss: Loss, trials: float, **options: Any) -> None:
        """`trials` is the mean number of trials of a step of the training rows."""
        super().__init__(*args, **options)
        self.likelihood, self.trials = LIKELIHOODS[loss], trials

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["input_ids", "labels", "trials"]

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, Tensor], return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        successes, trials = inputs.pop("labels"), inputs.pop("trials")
        outputs = model(**inputs)
        known = successes != IGNORE
        losses = self.likelihood(outputs.logits[known].float(), successes[known], trials[known])
        count = known.sum() if num_items_in_batch is None else num_items_in_batch
        loss = losses.sum() / (torch.as_tensor(count).clamp(min=1) * self.trials)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def last_tokens(
    tokenizer: PreTrainedTokenizerBase, prompt: str, steps: Sequence[str]
) -> tuple[Tokens, list[int | None]]:
    """Tokens of prompt and steps, and of each step the index in the completion of its last token.

    None for a step all of whose text is swallowed by a token of the next one (white space, mostly).
    """
    tokens = encode(tokenizer, prompt, "".join(steps), complete=False)
    ends = list(accumulate(len(step) for step in steps))
    of_token = step_of_each_token(tokens, ends, ends[-1] if ends else 0)
    last = {step: index for index, step in enumerate(of_token)}
    return tokens, [last.get(step) for step in range(len(steps))]


def encode_row(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], loss: Loss) -> dict[str, Any]:
    """Token columns of a row: successes and trials of each step on its last token."""
    tokens, last = last_tokens(tokenizer, row["prompt"], row["completions"])
    size = len(tokens.prompt) + len(tokens.completion)
    successes, trials = [float(IGNORE)] * size, [0.0] * size
    for index, observed in zip(last, observations(row, loss), strict=True):
        if index is not None and observed is not None:
            successes[len(tokens.prompt) + index], trials[len(tokens.prompt) + index] = observed
    return {"input_ids": tokens.prompt + tokens.completion, "labels": successes, "trials": trials, "length": size}


def observations(row: dict[str, Any], loss: Loss) -> list[tuple[float, float] | None]:
    """Successes and trials of each step as the loss counts them; None for a step of which nothing is known.

    Raises ReleaseError where a list of the row is not as long as its steps, or counts are none.
    """
    counted = loss in ("binomial", "beta_binomial")
    names = ("completions", "labels", "values", *(COUNTS if counted else ()))
    if len({len(row[name]) for name in names}) > 1:
        raise ReleaseError(f"a row has {', '.join(f'{len(row[name])} {name}' for name in names)}; there must be one "
                           "of each for every step: the release is not as it was built")
    labels, values = row["labels"], row["values"]
    if not counted:
        known = labels if loss == "labels" else [
            label if value is None else value for label, value in zip(labels, values, strict=True)]
        return [None if one is None else (float(one), 1.0) for one in known]
    counts = list(zip(row["successes"], row["rollouts"], strict=True))
    if not all(isinstance(k, int) and isinstance(n, int) and 0 <= k <= n for k, n in counts):
        raise ReleaseError(f"a row has {row['successes']} successes of {row['rollouts']} rollouts; every step needs "
                           "0 <= successes <= rollouts: the release is not as it was built")
    observed: list[tuple[float, float] | None] = [(float(k), float(n)) if n else None for k, n in counts]
    if observed and observed[-1] is None:
        end = next((float(one) for one in (values[-1], labels[-1]) if one in (0, 1)), None)
        most = float(max(1, *row["rollouts"]))
        observed[-1] = None if end is None else (end * most, most)
    return observed


def collate(rows: list[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Batch of (rows, longest) tensors, padded on the right."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), pad_token_id)
    labels, trials, seen = torch.full(ids.shape, float(IGNORE)), torch.zeros(ids.shape), torch.zeros_like(ids)
    for index, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[index, :length], seen[index, :length] = torch.tensor(row["input_ids"]), 1
        labels[index, :length], trials[index, :length] = torch.tensor(row["labels"]), torch.tensor(row["trials"])
    return {"input_ids": ids, "attention_mask": seen, "labels": labels, "trials": trials}


def mean_trials(rows: Dataset) -> float:
    """Trials of a known step, in the mean; ReleaseError where no step is known."""
    counts = [n for trials in rows["trials"] for n in trials if n]
    if not counts:
        raise ReleaseError("no step has the values that --loss reads; choose another loss, or annotate with rollouts")
    return sum(counts) / len(counts)


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; see `start` and `Run` of script.py."""
    with user_errors("prm"):
        run = start("prm", argv, Arguments, PRMConfig, config="stepwise")
        columns = COLUMNS | (COUNTS if run.script.loss in ("binomial", "beta_binomial") else {})
        train, evaluation = run.rows(columns, lambda row: encode_row(run.tokenizer, row, run.script.loss))
        model = AutoModelForTokenClassification.from_pretrained(
            run.model.model_name_or_path, num_labels=2, id2label={0: "wrong", 1: "right"},
            quantization_config=get_quantization_config(run.model), **run.training.model_init_kwargs)
        adapters = get_peft_config(run.model)
        if adapters is not None:
            from peft import TaskType, get_peft_model

            adapters.task_type = TaskType.TOKEN_CLS  # keeps the new head trainable and saves it with the adapters
            model = get_peft_model(model, adapters)
        model.config.pad_token_id = run.tokenizer.pad_token_id
        run.fit(StepTrainer(
            loss=run.script.loss, trials=mean_trials(train), model=model, args=run.training, train_dataset=train,
            eval_dataset=evaluation, processing_class=run.tokenizer,
            data_collator=lambda rows: collate(rows, run.tokenizer.pad_token_id)))


if __name__ == "__main__":
    main()
