"""`accelerate launch -m` trains in two processes that share the batch, saves once, and ends by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WITNESS = """
import gc
import sys
from torch.nn.parallel import DistributedDataParallel
from stepforge.train import script, step_dpo

def fit(run, trainer, fit=script.Run.fit):
    fit(run, trainer)
    print("wrappers left:", sum(isinstance(found, DistributedDataParallel) for found in gc.get_objects()))

script.Run.fit = fit
step_dpo.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("watched", [False, True])
def test_two_launched_processes_train_and_end(tiny: Path, release: Path, tmp_path: Path, watched: bool) -> None:
    """On the CPU: `--multi_gpu` is how accelerate is told to start several processes, `--use_cpu` where they work.

    Watched: what wraps the model outlives its process group in neither, else they wait for each other now and then.
    """
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    (tmp_path / "witness.py").write_text(WITNESS)
    what = [str(tmp_path / "witness.py")] if watched else ["-m", "stepforge.train.step_dpo"]
    train = [*what, "--dataset", str(release), "--revision", "v1.0.0",
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
    assert ended.stdout.count("wrappers left: 0") == (2 if watched else 0), ended.stdout
