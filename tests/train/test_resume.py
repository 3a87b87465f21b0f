"""A stopped training resumes from its last checkpoint with its own settings, and ends in the weights of one that was
not stopped; other settings are refused, and a finished training is left alone."""

import hashlib
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM

from stepforge.train import sft
from stepforge.train.resume import STATE, changed, newest

SETTINGS = {"max_steps": 50, "num_train_epochs": 3.0, "learning_rate": 1e-4, "lr_scheduler_type": "constant"}


def train(tiny: Path, release: Path, out: Path, steps: int, *more: str) -> dict[str, torch.Tensor]:
    sft.main(["--dataset", str(release), "--revision", "v1.0.0", "--model", str(tiny), "--output_dir",
              str(out), "--max_steps", str(steps), "--per_device_train_batch_size", "4", "--learning_rate", "1e-3",
              "--lr_scheduler_type", "constant", "--save_steps", "4", "--use_cpu", "--disable_tqdm", "true",
              "--gradient_checkpointing", "false", "--resume_from_checkpoint", "last", *more])
    return AutoModelForCausalLM.from_pretrained(out).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def cut(tiny: Path, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of four steps, with its checkpoint."""
    folder = tmp_path_factory.mktemp("cut")
    train(tiny, release, folder, 4)
    return folder


def test_resumed_training_has_the_weights_of_an_uninterrupted_one(
    tiny: Path, release: Path, cut: Path, tmp_path: Path
) -> None:
    whole, half = train(tiny, release, tmp_path / "whole", 8), AutoModelForCausalLM.from_pretrained(cut).state_dict()
    shutil.copytree(cut, tmp_path / "cut")
    (tmp_path / "cut" / "checkpoint-7").mkdir()  # of a save that was cut off: it has no state
    resumed = train(tiny, release, tmp_path / "cut", 8, "--logging_steps", "3", "--save_steps", "2")
    assert not same(whole, half) and same(whole, resumed)


def test_changed_settings_are_refused_by_name_with_both_values(
    tiny: Path, release: Path, cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (cut / "stepforge_training.json").read_text()
    with pytest.raises(SystemExit, match="2"):
        train(tiny, release, cut, 4, "--learning_rate", "1e-2", "--max_rows", "8")
    message = capsys.readouterr().err
    assert "learning_rate: 0.001 before, 0.01 now" in message and "max_rows: None before, 8 now" in message
    assert "another --output_dir" in message and "max_steps" not in message
    assert (cut / "stepforge_training.json").read_text() == before


def test_finished_training_gets_no_further_step(
    tiny: Path, release: Path, cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (cut / "stepforge_training.json").read_text()
    train(tiny, release, cut, 4)
    assert "nothing is left to do" in capsys.readouterr().err
    assert (cut / "stepforge_training.json").read_text() == before and newest(cut).name == "checkpoint-4"


def test_training_killed_before_its_model_was_saved_is_saved_from_its_checkpoint(
    tiny: Path, release: Path, cut: Path, tmp_path: Path
) -> None:
    shutil.copytree(cut / "checkpoint-4", tmp_path / "checkpoint-4")
    weights = train(tiny, release, tmp_path, 4)
    assert same(weights, AutoModelForCausalLM.from_pretrained(cut).state_dict())
    assert json.loads((tmp_path / "stepforge_training.json").read_text())["steps"] == 4


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda state: state["stateful_callbacks"].pop("TrainedWith"), "no settings to compare"),
    (None, "no state of the optimizer"),
])
def test_checkpoint_that_cannot_be_resumed_says_why(
    tiny: Path, release: Path, cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, message: str
) -> None:
    shutil.copytree(cut / "checkpoint-4", tmp_path / "checkpoint-4")
    file = tmp_path / "checkpoint-4" / "trainer_state.json"
    if spoil is None:
        (file.parent / "optimizer.pt").unlink()
    else:
        state = json.loads(file.read_text())
        spoil(state)
        file.write_text(json.dumps(state))
    with pytest.raises(SystemExit, match="2"):
        train(tiny, release, tmp_path, 8)
    assert message in capsys.readouterr().err


def test_explicit_checkpoint_must_exist(
    tiny: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train(tiny, release, tmp_path, 4, "--resume_from_checkpoint", str(tmp_path / "checkpoint-9"))
    assert "no complete checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(("before", "now", "refused"), [
    ({}, {"max_steps": 60}, []),
    ({}, {"max_steps": 40}, ["max_steps"]),  # what is trained cannot be taken back
    ({}, {"max_steps": -1}, ["max_steps"]),
    ({}, {"num_train_epochs": 1.0}, []),  # a number of steps overrides it
    ({"max_steps": -1}, {"max_steps": -1, "num_train_epochs": 4.0}, []),
    ({"max_steps": -1}, {"max_steps": -1, "num_train_epochs": 2.0}, ["num_train_epochs"]),
    ({}, {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 5},
     ["lr_scheduler_type", "warmup_steps"]),
    ({"warmup_steps": 5, "lr_scheduler_type": "constant_with_warmup"},
     {"warmup_steps": 5, "lr_scheduler_type": "constant_with_warmup", "max_steps": 60}, []),
    ({"warmup_steps": 0.1, "lr_scheduler_type": "constant_with_warmup"},
     {"warmup_steps": 0.1, "lr_scheduler_type": "constant_with_warmup", "max_steps": 60}, ["max_steps"]),
    ({"lr_scheduler_type": "cosine"}, {"lr_scheduler_type": "cosine", "max_steps": 60}, ["max_steps"]),
    ({"seed": 1}, {}, ["seed"]),
])
def test_more_steps_are_allowed_where_the_rate_does_not_depend_on_them(before, now, refused) -> None:
    assert list(changed(SETTINGS | before, SETTINGS | now)) == refused


def test_other_rows_under_the_same_version_are_refused(
    tiny: Path, release: Path, cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / release.name / "v1.0.0"
    shutil.copytree(release / "v1.0.0", folder)
    file = folder / "positives" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)
    manifest = json.loads((folder / "stepforge.json").read_text())
    entry = manifest["files"]["positives/train-00000-of-00001.parquet"]
    entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "stepforge.json").write_text(json.dumps(manifest))
    with pytest.raises(SystemExit, match="2"):
        train(tiny, folder.parent, cut, 4)
    assert "release_files: " in capsys.readouterr().err


def test_newest_complete_checkpoint_is_the_one_of_most_steps(tmp_path: Path) -> None:
    for name, state in (("checkpoint-9", "{}"), ("checkpoint-10", "{}"), ("checkpoint-11", '{"global_st'),
                        ("checkpoint-best", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / STATE).write_text(state)
    (tmp_path / "checkpoint-12").mkdir()
    assert newest(tmp_path) == tmp_path / "checkpoint-10", "11 is half written, 12 holds no state"
    assert newest(tmp_path / "checkpoint-12") is None
