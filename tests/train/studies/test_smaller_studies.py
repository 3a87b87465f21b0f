"""The budget study, the mechanism checks and the remedies: data are what they claim, and each runs end to end."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from stepforge.builders.tables import derive_seed
from stepforge.pipelines.answers.arithmetic import first_false_step
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.train.studies import budget, mechanism, remedies, scaling
from stepforge.train.studies.analysis import expected_coverage, paired
from stepforge.train.studies.lab import stored
from stepforge.train.studies.world import TASKS

SMALL = ["test_problems=16", "least_updates=2", "batch=4", "samples=4"]
SMALL_ARMS = ["negatives=1", "rollouts=2", "margin=0.0", "epochs=1"]


def test_half_of_the_solutions_get_one_line_that_is_true_and_not_the_answer() -> None:
    """400 problems, at even odds: a share outside 0.4 to 0.6 comes by chance once in 10,000 runs."""
    rows = TASKS["arithmetic"]().draw(400, 0, "train")
    both = [(row["solution"], mechanism.injected(row)) for row in rows]
    changed = [(before, after) for before, after in both if before != after]
    assert 0.4 < len(changed) / len(rows) < 0.6
    for before, after in changed:
        lines = after.split("\n")
        (useless,) = [line for line in lines if line.startswith(mechanism.SPURIOUS)]
        assert first_false_step([useless]) is None and lines[-1] == before.split("\n")[-1]
        assert [line for line in lines if line != useless] == before.split("\n")


def test_gain_leaves_out_what_is_not_a_number() -> None:
    assert mechanism.gain(np.array([0.5, np.nan, 0.5])) == pytest.approx([0.5, 0.5, 0.5])
    mean, low, high = mechanism.gain(np.array([0.0, 1.0] * 50))
    assert mean == 0.5 and (low, high) == pytest.approx((0.402, 0.598))


def test_paired_difference_needs_a_seed_that_both_have() -> None:
    worse, better = np.array([True, False] * 200), np.array([True, True, True, False] * 100)
    mean, low, high = paired({0: better, 1: better}, {0: worse, 1: worse, 2: worse})
    assert mean == pytest.approx(-0.25) and low < mean < high < 0
    assert paired({0: worse}, {1: worse}) == []


def test_weak_data_cost_what_strong_data_cost_and_mixed_data_spend_half_on_either(tmp_path: Path) -> None:
    """The shipped model as both generators: of 8 problems one at least is solved in each half."""
    for name in budget.NAMES:
        shutil.copytree(SHIPPED, tmp_path / "models" / f"generator-{name}-2-100")
    study = budget.Study(budget.Settings(test_problems=2, taught=2, problems=8, samples=3, pair=100), tmp_path, "cpu")
    rows, about = study.data(0)
    assert about["matched"]["samples"] == about["strong"]["samples"] == 3
    assert about["weak"]["samples"] == int(3 * about["strong"]["flops"] / about["matched"]["flops"])
    for name in ("strong", "weak", "matched"):
        like, solved = about[name], {row["problem_id"] for row in rows[name]}
        assert like["positives"] == len(rows[name]) and like["coverage"] == len(solved) / 8 >= like["pass_rate"] > 0
        assert like["coverage_expected"] == expected_coverage(like["pass_rate"], like["samples"])
    first = {row["problem_id"] for row in study.task.draw(8, derive_seed(0, "sampled"), "train")[:4]}
    halves = {name: [row["completion"] for row in rows[name] if (row["problem_id"] in first) is (name == "strong")]
              for name in ("strong", "weak")}
    assert all(halves.values())
    assert [row["completion"] for row in rows["mixed"]] == halves["strong"] + halves["weak"]


def test_the_schedule_that_solves_most_validation_problems_is_kept(tmp_path: Path) -> None:
    """The shipped model between two copies whose last norm is zero, so that they write one token for ever."""
    given = budget.Settings(test_problems=2, problems=4, updates=(1, 2, 3), chosen_on=20)
    study = budget.Study(given, tmp_path, "cpu")
    made = [tmp_path / "models" / f"self-weak-{updates}" for updates in study.settings.updates]
    for folder in made:
        shutil.copytree(SHIPPED, folder)
    for folder in (made[0], made[2]):
        weights = load_file(folder / "model.safetensors")
        save_file(weights | {"model.norm.weight": weights["model.norm.weight"] * 0}, folder / "model.safetensors",
                  {"format": "pt"})
    splits: list[str] = []
    study.task = replace(study.task, problems=lambda count, seed, split: splits.append(split) or
                         TASKS["arithmetic"]().problems(count, seed, split))
    study.fit = lambda arm, *_, **__: tmp_path / "models" / arm                       # type: ignore[method-assign]
    study.generator = lambda *_: SHIPPED                                             # type: ignore[method-assign]
    assert study.tuned("self", "weak", [], 0) == made[1] and set(splits) == {"validation"}
    assert [study.chosen(folder) > 0 for folder in made] == [False, True, False]


def test_differences_are_the_errors_of_other_data_less_those_of_strong_data(tmp_path: Path) -> None:
    study = budget.Study(budget.Settings(test_problems=8, problems=4, setups=("w2s",)), tmp_path, "cpu")
    (tmp_path / "results").mkdir()
    for data, solved in {"strong": 0b11111100, "weak": 0b11000000, "matched": 0b11111111, "mixed": 0b11111100}.items():
        (tmp_path / f"results/w2s-{data}-4-0.json").write_text(json.dumps(
            {"arm": f"w2s-{data}", "size": 4, "seed": 0, "problems": len(study.tests),
             "solved": base64.b64encode(bytes([solved])).decode()}))
    setup = budget.report(tmp_path, tmp_path)["w2s"]
    assert setup["error"] == {"strong": 0.25, "weak": 0.75, "matched": 0.0, "mixed": 0.25}
    assert [setup[f"{data} - strong"][0] for data in ("weak", "matched", "mixed")] == [0.5, -0.25, 0.0]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scaling study of one small size whose base is the shipped model, which has right and wrong samples."""
    out = tmp_path_factory.mktemp("scaling")
    shutil.copytree(SHIPPED, out / "models" / "base")
    scaling.main(["--out", str(out), "--device", "cpu", "--resamples", "5", "--seeds", "0", "--arms", "sft",
                  "step_dpo_prefix", "--set", *SMALL, *SMALL_ARMS, "sizes=[8]", "sft_sizes=[4,8]", "sft_rate=0.0001"])
    return out


@pytest.mark.slow
def test_mechanism_checks_and_remedies_start_from_the_models_of_the_scaling_study(
    shipped: Path, tmp_path: Path
) -> None:
    mechanism.main(["--out", str(tmp_path), "--device", "cpu", "--models", str(shipped), "--size", "8", "--problems",
                    "6", "--set", *SMALL, *SMALL_ARMS, "base_updates=2", "sft_rate=0.0001"])
    record = json.loads((tmp_path / "mechanism.json").read_text())
    (steps,) = record["steps"]
    assert set(steps) == {"sft", "step_dpo_prefix"} and len(steps["sft"]["q"]) >= 2
    assert all(0 <= q <= 1 for q in steps["step_dpo_prefix"]["q"])
    assert all(mean == 0 for mean, *_ in steps["sft"]["gain"])
    (spurious,) = record["spurious"]
    assert set(spurious["rate"]) >= {"sft", "rft"} and "spurious" in spurious["advantage"]
    assert {name.split()[0] for name in record["starts-brief errors"]} >= {"base", "sft"}
    remedies.main(["--out", str(tmp_path / "r"), "--device", "cpu", "--models", str(shipped), "--size", "8",
                   "--remedies", "as it is", "with SFT loss"])
    rows = json.loads((tmp_path / "r" / "remedies.json").read_text())
    assert {row["remedy"] for row in rows} == {"as_it_is", "with_SFT_loss"}
    assert all(len(row["error - SFT's"]) == 3 for row in rows)


@pytest.mark.slow
def test_budget_study_gives_the_weak_generator_the_samples_that_the_same_compute_buys(tmp_path: Path) -> None:
    for name in budget.NAMES:
        shutil.copytree(SHIPPED, tmp_path / "models" / f"base-{name}")
    budget.main(["--out", str(tmp_path), "--device", "cpu", "--seeds", "0", "--set", *SMALL, "taught=8", "problems=6",
                 "sft_rate=0.0001", "updates=[1,2]", "chosen_on=20"])
    record = json.loads((tmp_path / "budget.json").read_text())
    runs = {row["arm"]: row for row in record["runs"]}
    assert set(runs) == {"generator-weak", "generator-strong", *(f"{how}-{data}" for how in budget.SETUPS
                                                                 for data in budget.DATA)}
    about = {data: runs[f"student-{data}"]["data"] for data in budget.DATA}
    assert about["matched"]["samples"] == about["strong"]["samples"] == 4
    ratio = about["strong"]["flops"] / about["matched"]["flops"]
    assert about["weak"]["samples"] == int(4 * ratio)
    assert {runs[f"{how}-{data}"]["updates"] for how in budget.SETUPS for data in budget.DATA} <= {1, 2}
    assert {file.name for file in (tmp_path / "models").glob("w2s-*")} == {
        f"w2s-{data}-{updates}-6-0" for data in budget.DATA for updates in (1, 2)}
    study = budget.Study(stored(budget.Settings, tmp_path), tmp_path, "cpu")
    best = [study.chosen(tmp_path / "models" / f"w2s-weak-{updates}-6-0") for updates in (1, 2)]
    assert runs["w2s-weak"]["updates"] == 1 + (best[1] > best[0])
    assert all(len(record["setups"]["w2s"][f"{data} - strong"]) == 3 for data in ("weak", "matched", "mixed"))
    assert all(0 < about[data]["pass_rate"] <= about[data]["coverage"] for data in ("strong", "weak", "matched"))
    assert about["mixed"]["positives"] <= about["strong"]["positives"] + about["weak"]["positives"]
