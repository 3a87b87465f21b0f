"""`--report_to wandb` without a network: the log of a training lies in its folder, to be sent later."""

import json
from pathlib import Path

import pytest

from stepforge.train import sft


def test_losses_and_settings_reach_the_tracker_offline(
    tiny: Path, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="needs wandb, which the extra `test` installs")
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_DIR", str(tmp_path)), ("WANDB_SILENT", "true"),
                        ("WANDB_PROJECT", "stepforge"), ("WANDB_DISABLE_CODE", "true")):
        monkeypatch.setenv(name, value)
    sft.main(["--dataset", str(release), "--revision", "v1.0.0", "--model", str(tiny), "--output_dir",
              str(tmp_path / "out"), "--max_steps", "2", "--learning_rate", "1e-3", "--per_device_train_batch_size",
              "4", "--use_cpu", "--gradient_checkpointing", "false", "--logging_steps", "1", "--save_strategy", "no",
              "--disable_tqdm", "true", "--report_to", "wandb", "--run_name", "two-steps"])
    summary = dict(wandb.run.summary)
    assert wandb.run.settings.mode == "offline" and wandb.run.name == "two-steps"
    assert wandb.run.config["learning_rate"] == 1e-3 and wandb.run.config["max_steps"] == 2
    log = json.loads((tmp_path / "out" / "stepforge_training.json").read_text())["log"]
    assert summary["train/loss"] == [entry["loss"] for entry in log if "loss" in entry][-1]
    wandb.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
