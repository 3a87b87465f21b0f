"""GRPO reads prompts and answers from the release, and learns what its reward pays for."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from stepforge.train.grpo import load_reward, main, prompts
from stepforge.train.release import ReleaseError, open_release
from stepforge.train.tokens import load_tokenizer


def test_prompts_and_answers_are_the_rows_of_rl(release: Path, tiny: Path) -> None:
    prompt_rows = prompts(open_release(str(release), "v1.0.0"), "rl", "train", load_tokenizer(str(tiny)))
    assert len(prompt_rows) == 24
    for row in prompt_rows:
        assert sum(int(number) for number in re.findall(r"\d+", row["prompt"])) == int(row["answer"])


@pytest.mark.parametrize("adds", [True, False])
def test_bos_of_a_chat_template_stands_once(templated: Path, with_bos: PreTrainedTokenizerFast, adds: bool) -> None:
    """Of a tokenizer that adds BOS by itself, and of one that does not."""
    if not adds:
        with_bos.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    made = prompts(open_release(str(templated), "v1.0.0"), "rl", "train", with_bos)
    tokens = [with_bos(row["prompt"]).input_ids for row in made]
    assert len(tokens) == 24 and all(ids[0] == with_bos.bos_token_id for ids in tokens)
    assert all(ids.count(with_bos.bos_token_id) == 1 for ids in tokens)


@pytest.mark.parametrize("name", ["nowhere:reward", "json:nothing", "json"])
def test_unknown_reward_is_explained(name: str) -> None:
    with pytest.raises(ReleaseError, match="give module:function"):
        load_reward(name)


def trained(tiny: Path, release: Path, out: Path, *more: str) -> list[float]:
    main(["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny),
          "--output_dir", str(out), "--per_device_train_batch_size", "16", "--num_generations", "8",
          "--max_completion_length", "8", "--learning_rate", "1e-2", "--lr_scheduler_type", "constant",
          "--gradient_checkpointing", "false", "--use_cpu", "--logging_steps", "1", "--save_strategy", "no",
          "--disable_tqdm", "true", *more])
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["reward"] for entry in log if "reward" in entry]


def test_reward_rises_in_twenty_steps(
    tiny: Path, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pays the share of digits, 0.22 at first; a doubling by chance would be 9 standard errors (80 samples)."""

    def digits(completions: list[str], answer: list[str], **columns: object) -> list[float]:
        return [sum(letter.isdigit() for letter in text) / max(1, len(text)) for text in completions]

    monkeypatch.setitem(sys.modules, "a_reward", SimpleNamespace(digits=digits))  # type: ignore[arg-type]
    rewards = trained(tiny, release, tmp_path, "--reward", "a_reward:digits", "--max_steps", "20")
    assert len(rewards) == 20
    assert sum(rewards[-5:]) > 2 * sum(rewards[:5])


def test_verifier_is_the_reward_unless_another_is_named(tiny: Path, release: Path, tmp_path: Path) -> None:
    rewards = trained(tiny, release, tmp_path, "--max_steps", "1")
    assert len(rewards) == 1 and 0 <= rewards[0] <= 1
