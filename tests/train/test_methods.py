"""Every method trains 20 steps on the small release, from its command line, and its loss goes the right way."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from stepforge.train import awr, dpo, kto, prm, sft, step_dpo

METHODS = {
    "sft": (sft, []),
    "dpo-random": (dpo, ["--rule", "random", "--beta", "0.5"]),
    "dpo-max-edit": (dpo, ["--rule", "max_edit_distance", "--beta", "0.5"]),
    "step_dpo-full": (step_dpo, ["--mode", "full_vs_truncated", "--beta", "0.5"]),
    "step_dpo-prefix": (step_dpo, ["--mode", "shared_prefix", "--beta", "0.5"]),
    "kto": (kto, ["--beta", "0.5"]),
    "awr": (awr, []),
    "prm": (prm, []),
    "prm-beta": (prm, ["--loss", "beta_binomial"]),
    "prm-values": (prm, ["--loss", "values"]),
}


def command(tiny: Path, release: Path, out: Path, *more: str) -> list[str]:
    return ["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny),
            "--output_dir", str(out), "--max_steps", "20", "--learning_rate", "1e-2",
            "--per_device_train_batch_size", "8", "--lr_scheduler_type", "constant", "--max_rows", "8", "--use_cpu",
            "--gradient_checkpointing", "false", "--logging_steps", "1", "--save_strategy", "no",
            "--disable_tqdm", "true", *more]


def losses(out: Path) -> list[float]:
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


@pytest.mark.parametrize("name", METHODS)
def test_loss_falls_on_an_overfit_batch_of_eight_rows(name: str, tiny: Path, release: Path, tmp_path: Path) -> None:
    module, options = METHODS[name]
    module.main(command(tiny, release, tmp_path, *options))
    by_step = losses(tmp_path)
    assert len(by_step) == 20
    assert 0 < by_step[-1] < 0.8 * by_step[0]
    (AutoModelForTokenClassification if module is prm else AutoModelForCausalLM).from_pretrained(tmp_path)
    record = json.loads((tmp_path / "stepforge_training.json").read_text())
    assert (record["rows"], record["steps"], record["revision"]) == (8, 20, "v1.0.0")
    assert "v1.0.0" in (tmp_path / "README.md").read_text()


def test_sft_trains_on_the_solutions_of_one_generator(
    tiny: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sft.main(command(tiny, release, tmp_path, "--generator", "test", "--max_steps", "1"))
    assert json.loads((tmp_path / "stepforge_training.json").read_text())["rows"] == 8
    with pytest.raises(SystemExit, match="2"):
        sft.main(command(tiny, release, tmp_path / "none", "--generator", "strong", "--max_steps", "1"))
    assert "no row has generator 'strong'; there are {'test'" in capsys.readouterr().err
