"""The process reward model's targets stand on the last token of each step and weigh what was observed of it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from stepforge.train.prm import (
    COLUMNS,
    COUNTS,
    LIKELIHOODS,
    Arguments,
    Loss,
    PRMConfig,
    StepTrainer,
    beta_binomial,
    binomial,
    collate,
    encode_row,
    last_tokens,
    mean_trials,
    observations,
)
from stepforge.train.release import ReleaseError
from stepforge.train.script import start
from stepforge.train.tokens import IGNORE, load_tokenizer

STEPS = ["1 + 2 = 3\n", "3 + 4 = 8\n", "The answer is 8."]
ROW = {"prompt": "Add 1, 2, 4.\n", "completions": STEPS, "labels": [True, False, False], "values": [0.75, 0.0, None],
       "rollouts": [4, 8, 0], "successes": [3, 0, 0]}
COUNTED: tuple[Loss, ...] = ("binomial", "beta_binomial")


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(tiny))


@pytest.mark.parametrize(("loss", "successes", "trials"), [
    ("binomial", [3.0, 0.0, 0.0], [4.0, 8.0, 8.0]), ("beta_binomial", [3.0, 0.0, 0.0], [4.0, 8.0, 8.0]),
    ("values", [0.75, 0.0, 0.0], [1.0, 1.0, 1.0]), ("labels", [1.0, 0.0, 0.0], [1.0, 1.0, 1.0])])
def test_targets_stand_on_the_last_token_of_each_step(
    tokenizer: PreTrainedTokenizerBase, loss: Loss, successes: list[float], trials: list[float]
) -> None:
    encoded = encode_row(tokenizer, ROW, loss)
    marked = [index for index, target in enumerate(encoded["labels"]) if target != IGNORE]
    assert [encoded["labels"][index] for index in marked] == successes
    assert [encoded["trials"][index] for index in marked] == trials and sum(encoded["trials"]) == sum(trials)
    texts = [tokenizer.decode(encoded["input_ids"][:index + 1]) for index in marked]
    assert texts == ["Add 1, 2, 4.\n" + "".join(STEPS[:count]) for count in (1, 2, 3)]


@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_targets_reach_the_trainer_as_they_were_encoded(tiny: Path, release: Path, tmp_path: Path, loss: Loss) -> None:
    """A release has a column `labels` of booleans, the trainer one of numbers."""
    run = start("prm", ["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny),
                        "--output_dir", str(tmp_path), "--use_cpu"], Arguments, PRMConfig, config="stepwise")
    encoded, _ = run.rows(COLUMNS | COUNTS, lambda row: encode_row(run.tokenizer, row, loss))
    rows = run.release.rows("stepwise", "train", COLUMNS | COUNTS)
    expected = [encode_row(run.tokenizer, row, loss) for row in rows]
    assert encoded.to_list() == [{key: value for key, value in row.items() if key != "length"} for row in expected]


def test_step_without_a_token_of_its_own_has_no_target(tokenizer: PreTrainedTokenizerBase) -> None:
    steps = ["The ans", "wer is 3."]  # one token, " answer", holds the end of the first step
    _, last = last_tokens(tokenizer, "Add.\n", steps)
    assert last[0] is not None  # "The" ends before the cut
    steps = ["The", " ans", "wer is 3."]
    _, last = last_tokens(tokenizer, "Add.\n", steps)
    assert last[1] is None
    row = {"prompt": "Add.\n", "completions": steps, "labels": [True] * 3, "values": [1.0] * 3}
    assert sum(encode_row(tokenizer, row, "values")["trials"]) == 2


@pytest.mark.parametrize(("row", "expected"), [
    ({}, [(3, 4), (0, 8), (0, 8)]),
    ({"values": [0.75, 0.0, 1.0], "labels": [True, True, True]}, [(3, 4), (0, 8), (8, 8)]),
    ({"values": [0.75, 0.0, 0.04]}, [(3, 4), (0, 8), (0, 8)]),               # a model's value: the label decides
    ({"values": [None] * 3, "labels": [None] * 3}, [(3, 4), (0, 8), None]),
    ({"rollouts": [0, 0, 0], "successes": [0, 0, 0]}, [None, None, (0, 1)]),
    ({"rollouts": [4, 0, 0], "successes": [3, 0, 0]}, [(3, 4), None, (0, 4)]),  # a value without rollouts is no count
    ({"rollouts": [4, 8, 2], "successes": [3, 0, 1]}, [(3, 4), (0, 8), (1, 2)]),
])
def test_counts_are_of_rollouts_and_the_verdict_is_as_many_as_the_row_has(
    row: dict[str, Any], expected: list[tuple[int, int] | None]
) -> None:
    assert observations(ROW | row, "binomial") == expected


@pytest.mark.parametrize(("change", "message"), [
    ({"values": [0.5, 0.5]}, "3 completions, 3 labels, 2 values"), ({"labels": []}, "3 completions, 0 labels"),
    ({"rollouts": [1]}, "1 rollouts"), ({"successes": [1, 1, 1, 1]}, "4 successes"),
    ({"successes": [5, 0, 0]}, r"\[5, 0, 0\] successes of \[4, 8, 0\]"), ({"successes": [-1, 0, 0]}, "0 <= successes"),
    ({"rollouts": [None, 8, 0]}, "0 <= successes"),
])
def test_row_that_is_not_as_built_is_refused(
    tokenizer: PreTrainedTokenizerBase, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReleaseError, match=message):
        encode_row(tokenizer, ROW | change, "binomial")


def test_an_older_release_without_counts_trains_on_values() -> None:
    old = {key: value for key, value in ROW.items() if key not in ("rollouts", "successes")}
    assert observations(old, "values") == [(0.75, 1), (0, 1), (0, 1)]


def test_binomial_by_hand() -> None:
    """Scores log 1 and log 3 make p = 3/4: 3 of 4 cost -3 log 3/4 - log 1/4."""
    scores = torch.tensor([[0.0, math.log(3)]] * 3)
    computed = binomial(scores, torch.tensor([3.0, 0.0, 0.5]), torch.tensor([4.0, 2.0, 1.0]))
    expected = [-3 * math.log(0.75) - math.log(0.25), -2 * math.log(0.25), -(math.log(0.75) + math.log(0.25)) / 2]
    assert computed.tolist() == pytest.approx(expected)


def test_beta_binomial_by_hand() -> None:
    """Scores 0 and 0 are Beta(1, 1), where k of n has density k! (n - k)! / (n + 1)!; log 2 and log 3 Beta(3, 2).

    Of Beta(3, 2), 2 of 3: B(5, 3) / B(3, 2) = (4! 2! / 7!) / (2! 1! / 4!) = (1 / 105) / (1 / 12) = 12 / 105.
    """
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.0], [math.log(2), math.log(3)]])
    computed = beta_binomial(scores, torch.tensor([1.0, 0.0, 2.0]), torch.tensor([2.0, 3.0, 3.0]))
    assert computed.tolist() == pytest.approx([math.log(6), math.log(4), math.log(105 / 12)])


def test_beta_binomial_is_the_function_of_gammas_and_binomial_where_the_model_is_sure() -> None:
    scores, successes, trials = torch.randn(50, 2), torch.randint(0, 9, (50,)).float(), torch.full((50,), 8.0)
    b, a = scores.double().exp().unbind(1)

    def log_beta(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.lgamma(one) + torch.lgamma(other) - torch.lgamma(one + other)

    expected = log_beta(a, b) - log_beta(successes + a, trials - successes + b)
    assert torch.allclose(beta_binomial(scores, successes, trials).double(), expected, atol=1e-4)
    sure = scores + 40
    assert torch.allclose(beta_binomial(sure, successes, trials), binomial(sure, successes, trials), atol=1e-3)
    assert len(beta_binomial(scores[:0], successes[:0], trials[:0])) == 0


def trainer(loss: Loss, trials: float) -> StepTrainer:
    made = StepTrainer.__new__(StepTrainer)  # its loss needs no trainer built around it
    made.args = type("Args", (), {"average_tokens_across_devices": False})()
    made.likelihood, made.trials = LIKELIHOODS[loss], trials
    return made


@pytest.mark.parametrize("loss", ["binomial", "beta_binomial", "values", "labels"])
def test_step_of_which_nothing_is_known_has_no_gradient(tokenizer: PreTrainedTokenizerBase, loss: Loss) -> None:
    row = ROW | {"labels": [True, None, None], "values": [0.75, None, None], "rollouts": [4, 0, 0],
                 "successes": [3, 0, 0]}
    encoded = encode_row(tokenizer, row, loss)
    batch = collate([{key: value for key, value in encoded.items() if key != "length"}], 1)
    scores = torch.randn(*batch["input_ids"].shape, 2, requires_grad=True)
    trainer(loss, 1.0).compute_loss(lambda **_: type("Out", (), {"logits": scores})(), batch).backward()
    moved = scores.grad[0].abs().sum(1).nonzero().flatten().tolist()
    first = next(index for index, target in enumerate(encode_row(tokenizer, ROW, loss)["labels"]) if target != IGNORE)
    assert moved == [first]


@pytest.mark.parametrize("loss", COUNTED)
def test_loss_of_a_batch_is_divided_by_its_steps_and_the_mean_of_trials(
    tokenizer: PreTrainedTokenizerBase, loss: Loss
) -> None:
    rows = [encode_row(tokenizer, ROW, loss), encode_row(tokenizer, ROW | {"rollouts": [4, 4, 0]}, loss)]
    batch = collate(rows, 1)
    scores = torch.randn(*batch["input_ids"].shape, 2)
    whole = trainer(loss, 5.0).compute_loss(lambda **_: type("Out", (), {"logits": scores})(), dict(batch))
    known = batch["trials"] > 0
    each = {"binomial": binomial, "beta_binomial": beta_binomial}[loss](
        scores[known], batch["labels"][known], batch["trials"][known])
    assert len(each) == 6 and whole.item() == pytest.approx(each.sum().item() / 6 / 5)
    halves = trainer(loss, 5.0).compute_loss(lambda **_: type("Out", (), {"logits": scores})(), dict(batch),
                                             num_items_in_batch=torch.tensor(12))
    assert halves.item() == pytest.approx(whole.item() / 2)  # of two accumulated batches of as many steps


def test_mean_of_trials_is_over_known_steps() -> None:
    assert mean_trials({"trials": [[0.0, 4.0, 0.0], [8.0, 0.0]]}) == 6.0  # type: ignore[arg-type]
    with pytest.raises(ReleaseError, match="no step has the values"):
        mean_trials({"trials": [[0.0], []]})  # type: ignore[arg-type]
