"""PAV-RL's reward: each token gets the advantage of its completion and, α times, the progress of its step."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from trl import GRPOConfig

from stepforge.pipelines.inference.step_scores import score_steps
from stepforge.train.grpo import main, prompts
from stepforge.train.progress import (
    ProgressTrainer,
    Prover,
    Valued,
    mean_of_group,
    open_prover,
    progress_of_tokens,
    value_steps,
)
from stepforge.train.release import Release, open_release
from stepforge.train.tokens import encode, load_tokenizer, step_of_each_token

PROMPT, STEPS = "Add 1, 2 and 4.\n", ["1 + 2 = 3\n", "é ≡ 3 + 4\n", "The answer is 8."]


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(tiny))


@pytest.fixture(scope="module")
def prm(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's body with a random head of two classes, steep enough for values from 0 to 1."""
    folder = tmp_path_factory.mktemp("prm")
    torch.manual_seed(1)
    model = AutoModelForTokenClassification.from_pretrained(tiny, num_labels=2)
    torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def fives(text: str) -> list[str]:
    return [text[at:at + 5] for at in range(0, len(text), 5)]


def test_progress_of_a_step_is_the_value_after_it_less_the_value_before() -> None:
    whole, cut, empty = Valued([0.75, 0.25, 1.0], [2, 3, 6]), Valued([0.5], [1, 5]), Valued([], [])
    progress = progress_of_tokens([whole, cut, empty], [0.5, 0.25, float("nan")], 7)
    assert progress.tolist() == [[0.25, 0.25, -0.5, 0.75, 0.75, 0.75, 0], [0.25, 0, 0, 0, 0, 0, 0], [0] * 7]


def test_a_group_may_lie_on_several_processes_and_have_unread_completions() -> None:
    first = torch.tensor([0.25, float("nan"), 0.75, 0.5, 1.0, 1.0, 0.0, 1.0])
    assert [mean_of_group(first, 4, process, 2) for process in range(4)] == [[0.5] * 2] * 2 + [[0.75] * 2] * 2
    assert mean_of_group(first, 8, 0, 8) == pytest.approx([4.5 / 7] * 8)


def test_tokens_belong_to_the_steps_that_the_trainers_of_releases_give_them(
    prm: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokens = encode(tokenizer, PROMPT, "".join(STEPS), complete=True)
    values, ends = value_steps(Prover(str(prm), lines, 1.0), tokenizer, PROMPT, tokens.completion, "cpu")
    offsets = [len("".join(STEPS[:count])) for count in (1, 2, 3)]
    expected = step_of_each_token(tokens, offsets, offsets[-1])
    assert [sum(index >= end for end in ends) for index in range(len(tokens.completion))] == expected
    assert values == pytest.approx(score_steps(str(prm), None, PROMPT, STEPS))
    assert max(values) - min(values) > 0.05


@pytest.mark.parametrize(("text", "complete", "count"), [
    ("".join(STEPS), True, 3), ("".join(STEPS), False, 2), (STEPS[0], False, 0), ("", True, 0),
    ("1 + 1 = 2\n" * 300, True, 0)])
def test_a_step_that_is_cut_off_or_cannot_be_read_has_no_value(
    prm: Path, tokenizer: PreTrainedTokenizerBase, text: str, complete: bool, count: int
) -> None:
    ids = encode(tokenizer, PROMPT, text, complete).completion
    assert len(value_steps(Prover(str(prm), lines, 1.0), tokenizer, PROMPT, ids, "cpu").values) == count


def test_the_gradient_is_that_of_q_plus_alpha_times_a(
    tiny: Path, prm: Path, release: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Advantages and gradient anew: values from the reward model itself, tokens by the length of what is decoded."""
    alpha, size = 3.0, 4

    def share_of_digits(completions: list[str], **columns: Any) -> list[float]:
        return [sum(letter.isdigit() for letter in text) / max(1, len(text)) for text in completions]

    args = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=8, seed=3,
                      num_generations=size, max_completion_length=24, scale_rewards="none", beta=0.0,
                      gradient_checkpointing=False, report_to="none")
    trainer = ProgressTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny), args=args, processing_class=tokenizer,
        train_dataset=prompts(open_release(str(release), "v1.0.0"), "rl", "train", tokenizer),
        reward_funcs=share_of_digits,
        prover=Prover(str(prm), fives, alpha))
    inputs = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    batch = trainer._generate_and_score_completions(inputs)

    judge = AutoModelForTokenClassification.from_pretrained(prm).eval()
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in batch["completion_ids"]]
    rewards = torch.tensor(share_of_digits(texts)).view(-1, size)
    outcome = (rewards - rewards.mean(1, keepdim=True)).flatten()
    values = []
    for row, text in zip(inputs, texts, strict=True):
        ends = encode(tokenizer, row["prompt"], text, False)
        with torch.no_grad():
            right = judge(input_ids=torch.tensor([ends.prompt + ends.completion])).logits[0].softmax(-1)[:, 1]
        steps = step_of_each_token(ends, [min(at + 5, len(text)) for at in range(0, len(text), 5)], len(text))
        last = {step: index for index, step in enumerate(steps)}
        values.append([right[len(ends.prompt) + last[step]].item() for step in sorted(last)])
    expected = torch.zeros(batch["completion_ids"].shape)
    for index, ids in enumerate(batch["completion_ids"].tolist()):
        group = index // size * size
        before = sum(one[0] for one in values[group:group + size]) / size
        complete = tokenizer.eos_token_id in ids
        for place in range(int(batch["completion_mask"][index].sum())):
            step = (max(1, len(tokenizer.decode(ids[:place + 1], skip_special_tokens=True))) - 1) // 5
            gain = values[index][step] - (values[index][step - 1] if step else before)
            known = complete or step < len(values[index]) - 1
            expected[index, place] = outcome[index] + (alpha * gain if known else 0.0)
    kept = batch["completion_mask"].bool()
    torch.testing.assert_close(batch["advantages"][kept], expected[kept], rtol=1e-4, atol=1e-5)
    assert expected[kept].std() > 0.1

    trainer.current_gradient_accumulation_steps = 1
    trainer.compute_loss(trainer.model, batch).backward()
    gradients = [p.grad.clone() for p in trainer.model.parameters()]
    trainer.model.zero_grad()
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    logs = trainer.model(input_ids=ids, attention_mask=seen).logits[:, :-1].log_softmax(-1)
    logs = logs.gather(2, ids[:, 1:, None])[..., 0][:, -batch["completion_ids"].shape[1]:]
    (-(expected * logs)[kept].sum() / kept.sum()).backward()
    for mine, theirs in zip(trainer.model.parameters(), gradients, strict=True):
        torch.testing.assert_close(theirs, mine.grad, rtol=1e-3, atol=1e-5)


def command(tiny: Path, release: Path, out: Path, *more: str) -> list[str]:
    return ["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny), "--output_dir",
            str(out), "--per_device_train_batch_size", "4", "--num_generations", "4", "--max_completion_length", "8",
            "--max_steps", "1", "--gradient_checkpointing", "false", "--use_cpu", "--logging_steps", "1",
            "--save_strategy", "no", "--disable_tqdm", "true", *more]


def test_the_command_trains_with_progress_and_records_it(tiny: Path, prm: Path, release: Path, tmp_path: Path) -> None:
    main(command(tiny, release, tmp_path, "--prm", str(prm), "--alpha", "2", "--scale_rewards", "none"))
    log = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    assert 0 <= log[0]["progress/unread"] <= 1
    settings = json.loads((tmp_path / "stepforge_training.json").read_text())["settings"]
    assert (settings["prm"], settings["alpha"]) == (str(prm), 2.0)


@pytest.mark.parametrize(("options", "message"), [
    (["--prm", "PRM"], "give --prm with --alpha"), (["--alpha", "1"], "give --prm with --alpha"),
    (["--splitter", "newline"], "give --prm with --alpha"),
    (["--prm", "PRM", "--alpha", "1"], "give --scale_rewards none"),
    (["--prm", "PRM", "--alpha", "1", "--scale_rewards", "none", "--multi_objective_aggregation",
      "normalize_then_sum"], "leave the other out"),
    (["--prm", "PRM", "--alpha", "0", "--scale_rewards", "none"], "--alpha 0.0: allowed is a number above 0"),
    (["--prm", "PRM", "--alpha", "nan", "--scale_rewards", "none"], "--alpha nan: allowed"),
    (["--prm", "PRM", "--alpha", "1", "--scale_rewards", "none", "--splitter", "words"], "'words': allowed are auto"),
    (["--prm", "TINY", "--alpha", "1", "--scale_rewards", "none"], "one that classifies tokens"),
])
def test_options_that_do_not_go_together_are_explained(
    tiny: Path, prm: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str],
    message: str
) -> None:
    named = {"PRM": str(prm), "TINY": str(tiny)}
    with pytest.raises(SystemExit, match="2"):
        main(command(tiny, release, tmp_path, *(named.get(word, word) for word in options)))
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("recipe", "splitter", "expected"), [
    ({"annotate": {"splitter": "newline"}}, None, ["One is 1. Two is 2.\n", "Three is 3.\n", "Four is 4."]),
    ({"annotate": {"splitter": "newline", "max_steps": 2}}, None,
     ["One is 1. Two is 2.\n", "Three is 3.\nFour is 4."]),
    ({"annotate": {"splitter": "newline"}}, "sentence", ["One is 1. ", "Two is 2.\n", "Three is 3.\n", "Four is 4."]),
    ({"annotate": None}, "blank_line", ["One is 1. Two is 2.\nThree is 3.\nFour is 4."]),
    ({}, None, ["One is 1. Two is 2.\n", "Three is 3.\n", "Four is 4."]),
])
def test_steps_are_cut_as_annotate_of_the_release_cuts_them_unless_told_otherwise(
    prm: Path, recipe: dict[str, Any], splitter: str | None, expected: list[str]
) -> None:
    prover = open_prover(str(prm), 1.0, splitter, Release("r", None, None, {"recipe": recipe}))
    assert prover.steps("One is 1. Two is 2.\nThree is 3.\nFour is 4.") == expected
