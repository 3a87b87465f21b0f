"""`accelerate launch -m` trains in two processes that share the batch, saves once, and ends by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_launched_processes_train_together_and_end(tiny: Path, release: Path, tmp_path: Path) -> None:
    """On the CPU: `--multi_gpu` is how accelerate is told to start several processes, `--use_cpu` where they work."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    train = ["-m", "stepforge.train.step_dpo", "--dataset", str(release), "--revision", "v1.0.0",
             "--model_name_or_path", str(tiny), "--output_dir", str(tmp_path), "--max_steps", "2",
             "--per_device_train_batch_size", "4", "--use_cpu", "--gradient_checkpointing", "false",
             "--logging_steps", "1", "--save_strategy", "no", "--disable_tqdm", "true"]
    ended = subprocess.run([*launch, *train], capture_output=True, text=True, timeout=280,
                           env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    assert ended.returncode == 0, ended.stderr[-3000:]
    record = json.loads((tmp_path / "stepforge_training.json").read_text())
    assert (record["processes"], record["steps"], record["rows"]) == (2, 2, 24)
    assert [entry["epoch"] for entry in record["log"] if "loss" in entry] == pytest.approx([1 / 3, 2 / 3])
    assert "destroy_process_group" not in ended.stderr  # torch's warning about a group that was left open
