"""The study for one GPU: what runs first, and that its seeds run side by side and leave what they finished."""

from pathlib import Path

import pytest

from stepforge.train.studies.lab import settings
from stepforge.train.studies.large import ARMS, GPU, main, plan
from stepforge.train.studies.scaling import Settings

TINY = ["width=32", "layers=1", "base_updates=20", "test_problems=40", "known=false", "epochs=1", "sizes=[12]",
        "sft_sizes=[12,24]", "samples=2", "rollouts=2", "batch=8"]


def test_every_arm_at_the_smaller_sizes_comes_before_long_runs_of_sft_and_the_largest_size_comes_last() -> None:
    chosen = settings(Settings, [], GPU, task="terse_teacher")
    both = ["sft", *ARMS]
    assert plan(chosen) == [(both, 1024), (both, 4096), (["sft"], 16384), (["sft"], 65536), (ARMS, 16384)]


def test_settings_that_were_chosen_for_the_large_model_are_those_of_its_command() -> None:
    chosen = settings(Settings, [], GPU, task="terse_teacher")
    assert (chosen.batch, chosen.sft_rate, chosen.dpo_rate, chosen.beta) == (128, 1e-3, 1e-4, 0.2)
    assert (chosen.prefix_rate, chosen.prefix_beta, chosen.width, chosen.layers) == (5e-5, 0.5, 480, 4)


@pytest.mark.slow
def test_seeds_run_side_by_side_until_the_time_is_up_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = ["--out", str(tmp_path), "--device", "cpu", "--seeds", "0", "1", "--set", *TINY]
    with pytest.raises(SystemExit):
        main([*command, "--minutes", "0"])  # time for the base model alone: nothing to report on
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["base-0-0.json"]
    main([*command, "--minutes", "20"])
    names = {file.name for file in (tmp_path / "results").iterdir()}
    assert names >= {f"{arm}-12-{seed}.json" for arm in ("sft", *ARMS) for seed in (0, 1)}
    assert {"sft-24-0.json", "sft-24-1.json"} <= names
    assert (tmp_path / "scaling_terse_teacher.json").is_file()
