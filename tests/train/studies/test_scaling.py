"""The study runs end to end on a few problems, goes on where it stopped, and its data are what the arms claim."""

import json
import shutil
from pathlib import Path

import pytest

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.train.studies.collect import (
    Annotated,
    Samples,
    edit_distance,
    response_pairs,
    truncated_pairs,
    weighted,
)
from stepforge.train.studies.lab import settings
from stepforge.train.studies.sampling import Text
from stepforge.train.studies.scaling import ARMS, Settings, main
from stepforge.train.studies.world import TASKS

PROBLEM = {"problem_id": "p", "prompt": "Add.\n", "answer": "3", "solution": "1 + 2 = 3\nThe answer is 3."}
NEGATIVE = Annotated(PROBLEM, ["1 + 2 = 3\n", "3 + 1 = 5\n", "The answer is 5."], False, [0.75, 0.03, 0.0])
POSITIVE = Annotated(PROBLEM, ["1 + 2 = 3\n", "The answer is 3."], True, [0.75, 1.0])


def samples() -> Samples:
    return Samples([PROBLEM], [([POSITIVE.text], [NEGATIVE.text])], [0.5], [POSITIVE], [NEGATIVE])


def test_pit_is_the_first_lowest_value_within_the_tolerance() -> None:
    assert NEGATIVE.pit == 1
    assert Annotated(PROBLEM, ["a", "b"], False, [0.2, 0.0]).pit == 1


def test_rejected_side_is_cut_behind_the_pit_and_does_not_end_there() -> None:
    row, = truncated_pairs(samples(), seed=0)
    assert row["rejected"] == "1 + 2 = 3\n3 + 1 = 5\n"
    assert row["chosen"] == POSITIVE.text and row["chosen_complete"] and not row["rejected_complete"]


def test_max_edit_pair_has_the_solution_least_like_the_negative() -> None:
    assert edit_distance("kitten", "sitting") == 3 and edit_distance("", "abc") == 3
    found = samples()
    found.own[0][0].append("Quite another way of putting it: 3.\nThe answer is 3.")
    row, = response_pairs(found, 1, "max_edit_distance", seed=0)
    assert row["chosen"].startswith("Quite another way")


def test_weights_have_mean_one_and_follow_the_advantages() -> None:
    rows = weighted(samples(), beta=0.5, most=3.0)
    flat = [weight for row in rows for weight in row["weights"]]
    assert sum(flat) / len(flat) == pytest.approx(1.0)
    assert rows[1]["ends"] == [10, 20, 36]
    assert rows[1]["weights"][1] < rows[1]["weights"][0]  # the pit step weighs less than the good step before it


def test_whole_solution_alone_is_correct() -> None:
    task = TASKS["arithmetic"]
    assert task.correct([PROBLEM] * 3, [Text("The answer is 3.", True), Text("The answer is 3.", False),
                                        Text("The answer is 4.", True)]) == [True, False, False]


@pytest.mark.parametrize(("given", "message"), [
    (["nothing=1"], "allowed keys are test_problems"), (["sizes=[1,"], "not JSON"),
    (["beta=[1]"], "a value like 1.0")])
def test_wrong_setting_is_explained(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(Settings, given, task="arithmetic")


@pytest.mark.slow
def test_study_runs_every_arm_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped model stands in for the base: it is right often enough to give positives, negatives and pits."""
    shutil.copytree(SHIPPED, tmp_path / "models" / "base")
    command = ["--out", str(tmp_path), "--device", "cpu", "--resamples", "20", "--seeds", "0", "--set", "sizes=[8]",
               "sft_sizes=[4,8]", "test_problems=16", "epochs=1", "least_updates=2", "samples=4", "negatives=1",
               "rollouts=2", "batch=4", "sft_rate=0.0001", "margin=0.0"]
    main([*command, "--arms", "sft"])
    early = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "results").iterdir()}
    assert sorted(early) == ["base-0-0.json", "sft-4-0.json", "sft-8-0.json"]
    main(command)
    results = {file.name: json.loads(file.read_text()) for file in (tmp_path / "results").iterdir()}
    assert {row["arm"] for row in results.values()} == {"base", *ARMS}
    assert all((tmp_path / "results" / name).stat().st_mtime_ns == then for name, then in early.items())
    for arm in ARMS[1:]:
        row = results[f"{arm}-8-0.json"]
        assert row["rows"] > 0 and row["train_tokens"] > 0 and (row["generated_tokens"] > 0) == (arm != "sft_longer")
    report = json.loads((tmp_path / "scaling_arithmetic.json").read_text())
    assert {one["arm"] for one in report["arms"]} == set(ARMS)
    assert (tmp_path / "scaling_arithmetic.svg").read_text().startswith("<?xml")
    with pytest.raises(SystemExit, match="2"):
        main([*command, "epochs=2"])
    assert "holds other settings" in capsys.readouterr().err
