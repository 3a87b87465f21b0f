"""A training that was stopped goes on from its last checkpoint and ends in the weights of one that was not."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from stepforge.train import sft


def train(tiny: Path, release: Path, out: Path, steps: int) -> dict[str, torch.Tensor]:
    sft.main(["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny), "--output_dir",
              str(out), "--max_steps", str(steps), "--per_device_train_batch_size", "4", "--learning_rate", "1e-3",
              "--lr_scheduler_type", "constant", "--save_steps", "4", "--use_cpu", "--disable_tqdm", "true",
              "--gradient_checkpointing", "false", "--resume_from_checkpoint", "last"])
    return AutoModelForCausalLM.from_pretrained(out).state_dict()


def test_resumed_training_has_the_weights_of_an_uninterrupted_one(tiny: Path, release: Path, tmp_path: Path) -> None:
    whole = train(tiny, release, tmp_path / "whole", 8)
    half = train(tiny, release, tmp_path / "cut", 4)
    resumed = train(tiny, release, tmp_path / "cut", 8)
    assert not all(torch.equal(whole[name], half[name]) for name in whole)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
