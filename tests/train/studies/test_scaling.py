"""The study runs end to end on a few problems and resumes, and the data of each arm are what its name says."""

import asyncio
import json
import re
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stepforge.builders.errors import UserError
from stepforge.builders.sources.terse_teacher import double_lines, false_lines
from stepforge.pipelines.answers import first_false_step
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.runner import Generate, Request
from stepforge.train.studies import scaling, world
from stepforge.train.studies.collect import Collection, Together, roll_out
from stepforge.train.studies.lab import method, settings
from stepforge.train.studies.sampling import Policy, Text
from stepforge.train.studies.scaling import ARMS, EXTRAS, PRESETS, Settings, Study, main
from stepforge.train.studies.world import SMALL, TASKS, single_equations, single_lines, worked_lines

PROBLEM = {"problem_id": "p", "prompt": "Add.\n", "answer": "3", "solution": "1 + 2 = 3\nThe answer is 3."}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The shipped model on 12 arithmetic problems: right often enough to give positives, negatives and pits."""
    task = TASKS["arithmetic"]()
    policy = Policy(SHIPPED, "cpu", task.max_tokens)
    made = Collection(tmp_path_factory.mktemp("made"), policy, task, task.draw(12, 7, "train"), 0.7, 0)
    made.sample(6)
    made.annotate(rollouts=4, negatives_per_problem=2, positives_per_problem=1, pit_fall=-1)
    return made


def test_all_samples_are_judged_and_values_are_shares_of_rollouts(made: Collection) -> None:
    solutions, steps = made.table("solutions"), made.table("steps")
    assert len(solutions) == len(made.table("verdicts")) == 12 * 6
    assert {row["solution_id"] for row in steps} <= {row["solution_id"] for row in solutions}
    wrong = {row["solution_id"] for row in made.table("verdicts") if row["verdict"] == "incorrect"}
    assert all(row["rollouts"] in (0, 4) and row["estimator"] == "fixed_n" for row in steps)
    assert {row["solution_id"] for row in steps if row["is_pit"]} <= wrong
    for row in steps:
        made_here = [r for r in made.table("rollouts") if (r["solution_id"], r["step_index"], r["origin"]) ==
                     (row["solution_id"], row["step_index"], "prefix")]
        if made_here:  # a prefix that several solutions share has its rollouts under one of them
            assert row["successes"] == sum(r["verdict"] == "correct" for r in made_here)


def test_rejected_side_is_the_negative_cut_behind_its_first_lowest_value(made: Collection) -> None:
    """The pit of every pair, worked out again from the table of steps."""
    pairs = [row for row in made.rows("step_pairs", min_pit_drop=-1) if row["mode"] == "full_vs_truncated"]
    assert pairs
    for pair in pairs:
        steps = sorted((row for row in made.table("steps") if row["solution_id"] == pair["rejected_id"]),
                       key=lambda row: row["step_index"])
        lowest = min(row["q"] for row in steps)
        pit = next(row["step_index"] for row in steps if row["q"] <= lowest + 0.05)
        assert pair["rejected"] == "".join(row["step"] for row in steps[:pit + 1])
        assert pair["rejected_complete"] == (pit == len(steps) - 1)


def test_every_negative_has_a_pit_where_no_certainty_is_asked_for(made: Collection) -> None:
    steps = made.table("steps")
    wrong = {row["solution_id"] for row in made.table("verdicts") if row["verdict"] == "incorrect"}
    annotated = {row["solution_id"] for row in steps} & wrong
    assert annotated == {row["solution_id"] for row in steps if row["is_pit"]}
    paired = {row["rejected_id"] for row in made.rows("step_pairs", min_pit_drop=-1)}
    assert paired > {row["rejected_id"] for row in made.rows("step_pairs", min_pit_drop=0.3)}


def test_control_pairs_have_the_same_negatives_as_step_pairs(made: Collection) -> None:
    step = {row["rejected_id"] for row in made.rows("step_pairs", min_pit_drop=-1)
            if row["mode"] == "full_vs_truncated"}
    assert step == {row["rejected_id"] for row in made.rows("pairs", min_pit_drop=-1) if row["rule"] == "random"}


def test_options_of_the_release_reach_its_rows(made: Collection) -> None:
    per_problem = Counter(row["problem_id"] for row in made.rows("positives", max_positives_per_problem=1))
    assert set(per_problem.values()) == {1}
    assert len(made.rows("positives")) > len(per_problem)
    weights = [weight for row in made.rows("weighted") for weight in row["weights"]]
    assert sum(weights) / len(weights) == pytest.approx(1.0)


def test_requests_of_all_problems_are_answered_in_one_call_each_round() -> None:
    """Three problems ask once, twice and three times; the model is called three times, for all that then wait."""
    class Echo:
        def __init__(self) -> None:
            self.calls: list[list[str]] = []

        def complete(self, prompts: list[str], temperature: float, seed: int) -> list[Text]:
            self.calls.append(prompts)
            return [Text(prompt.upper(), True) for prompt in prompts]

    def work(name: str, rounds: int) -> Callable[[Generate], Awaitable[list[str]]]:
        async def ask(generate: Generate) -> list[str]:
            texts = []
            for number in range(rounds):
                both = [generate(Request(f"{name}{number}{i}", {"prompt": f"{name}{number}{i}"})) for i in (0, 1)]
                texts += [answers[0].text for answers in await asyncio.gather(*both)]
            return texts
        return ask

    echo = Echo()
    answers = asyncio.run(Together(echo, 1.0, 0).run([work(name, n) for name, n in (("a", 1), ("b", 2), ("c", 3))]))
    assert answers == [["A00", "A01"], ["B00", "B01", "B10", "B11"], ["C00", "C01", "C10", "C11", "C20", "C21"]]
    assert [len(call) for call in echo.calls] == [6, 4, 2]


def test_problem_that_fails_is_no_endless_wait() -> None:
    async def bad(generate: Generate) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(Together(object(), 1.0, 0).run([bad]))


def test_rollout_is_judged_with_its_prefix() -> None:
    """The shipped model solves such problems about every other time; all draws are seeded."""
    task = TASKS["arithmetic"]()
    rows = task.draw(4, 0, "test")
    policy = Policy(SHIPPED, "cpu", task.max_tokens)
    fresh = roll_out(policy, task, [(row, "") for row in rows], 8, 0.7, 0)
    before_last = ["".join(task.steps(row["solution"])[:-1]) for row in rows]
    late = roll_out(policy, task, list(zip(rows, before_last, strict=True)), 8, 0.7, 0)
    wrong = [prefix[::-1] + "\nThe answer is -1.\n" for prefix in before_last]
    lost = roll_out(policy, task, list(zip(rows, wrong, strict=True)), 8, 0.7, 0)
    assert [len(made) for made in fresh] == [8] * 4
    assert 0 < sum(map(sum, fresh)) < sum(map(sum, late)) and sum(map(sum, late)) >= 28 > sum(map(sum, lost))


def test_base_model_of_the_terse_world_never_sees_two_operations_in_a_line() -> None:
    rows = list(single_lines(True, 400, 0))
    assert {double_lines(row["reference_solution"]) for row in rows} == {0}
    assert not any(false_lines(row["reference_solution"]) for row in rows)
    assert {len(row["reference_solution"].splitlines()) for row in rows} == {2, 3, 4, 5}


def test_unknown_steps_are_wrong_in_the_same_way_everywhere() -> None:
    rows = list(single_lines(False, 400, 0))
    lines = [line for row in rows for line in row["reference_solution"].splitlines()[:-1]]
    table = {}
    for left, result in (line.split(" ≡ ") for line in lines):
        assert table.setdefault(left, result) == result
    assert sum(false_lines(line) for line in lines) > 0.7 * len(lines)


def test_base_model_of_reliable_arithmetic_sees_true_lines_and_every_equation_alike() -> None:
    """Each of some 550 equations is in 16 of 3,000 lists of 1 to 5; more than 40 are six standard deviations away."""
    rows = list(worked_lines(4000, 0, stories=2000))
    lists = [row for row in rows if row["problem"].startswith("Work out")]
    assert len(lists) == 3000 and {row["split"] for row in rows if "split" in row} == {"validation"}
    lines = [row["reference_solution"].splitlines() for row in lists]
    assert not any(first_false_step(steps) is not None for steps in lines[::10])
    assert all(f"The answer is {row['answer']}." == steps[-1] for row, steps in zip(lists, lines, strict=True))
    seen = Counter(re.findall(r"\d+ [-+*/] \d+ = \d+", "\n".join(sum(lines, []))))
    assert len(seen) > 500 and max(seen.values()) < 40
    asked = [row["prompt"] for row in single_equations()]
    assert len(set(asked)) < len(asked) > 500
    assert all(re.fullmatch(r"Work out \d+ [-+*/] \d+\.\n", prompt) for prompt in asked)


def test_base_model_of_reliable_arithmetic_sees_problems_of_one_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The studies train on problems of the split train and are measured on those of test."""
    seen = set[str]()
    monkeypatch.setattr(world, "SMALL", lambda count, seed, split, **options: seen.add(split) or SMALL(
        count, seed, split, **options))
    assert len(list(worked_lines(40, 0, stories=400))) == 40 and seen == {"validation"}


def test_rpo_is_dpo_with_the_likelihood_of_the_chosen_side() -> None:
    (_, _, _, dpo), (_, _, _, rpo) = (method(arm, object(), Settings()) for arm in ("dpo_random", "rpo"))
    assert (dpo["loss_type"], rpo["loss_type"], rpo["loss_weights"]) == (["sigmoid"], ["sigmoid", "sft"], [1.0, 1.0])
    assert {"rpo", "reinforce"} <= set(EXTRAS)


def test_reinforce_weighs_samples_of_its_latest_model_by_reward_less_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["test_problems=16", "rounds=2", "asked=12", "samples=8", "temperature=1.0"]
    study = Study(settings(Settings, given, task="arithmetic"), tmp_path, "cpu")
    shutil.copytree(SHIPPED, study.model("sft", 16, 0))
    fits: list[tuple[Path, list[dict], Path]] = []

    def fit(arm: str, start: Path, rows: list[dict], *where: int, updates: int) -> Path:
        fits.append((start, rows, train(arm, start, rows, *where, updates=updates)))
        assert updates == max(1, len(rows) // study.settings.batch)
        return fits[-1][2]

    def policy(model: Path, *given: Any) -> Policy:
        made = Policy(model, *given)
        complete = made.complete

        def completed(prompts: list[str], temperature: float, seed: int) -> list[Text]:
            sampled.append((model, Counter(prompts), temperature, seed))
            return complete(prompts, temperature, seed)

        monkeypatch.setattr(made, "complete", completed)
        return made

    train, sampled = study.fit, list[tuple[Path, Counter[str], float, int]]()
    monkeypatch.setattr(study, "fit", fit)
    monkeypatch.setattr(scaling, "Policy", policy)
    last = study.reinforced(16, 0)
    assert [start for start, *_ in sampled] == [start for start, _, _ in fits]
    (_, first, temperature, seed), (_, second, _, other_seed) = sampled
    assert first != second and seed != other_seed and temperature == 1.0
    assert len(first) == len(second) == 12 and {*first.values(), *second.values()} == {8}
    assert [start for start, _, _ in fits] == [study.model("sft", 16, 0), fits[0][2]] and last == fits[1][2]
    assert json.loads((last / "cost.json").read_text())["rows"] == sum(len(rows) for _, rows, _ in fits)
    answers = {row["prompt"]: row["answer"] for row in study.problems(16, 0)}
    by_prompt: dict[str, list[float]] = {}
    for row in fits[0][1]:
        by_prompt.setdefault(row["prompt"], []).extend(row["weights"])
        text = Text(row["completion"], row["complete"])
        assert study.task.correct([{"answer": answers[row["prompt"]]}], [text]) == [row["weights"][0] > 0]
    study.measure("reinforce", 16, 0, lambda: last)
    result = json.loads((tmp_path / "results" / "reinforce-16-0.json").read_text())
    texts = Policy(last, "cpu", study.task.max_tokens).complete([row["prompt"] for row in study.tests], 0.0, 0)
    wrong = [text.text for text, good in zip(texts, study.task.correct(study.tests, texts), strict=True) if not good]
    false = [first_false_step(study.task.steps(text)) is not None for text in wrong]
    assert wrong and result["false_equation_of_wrong"] == pytest.approx(sum(false) / len(false))
    assert by_prompt and all(len(of) == 8 and sum(of) == pytest.approx(0) for of in by_prompt.values())


def test_terse_teacher_has_the_settings_that_were_chosen_for_it() -> None:
    chosen = settings(Settings, ["beta=0.3"], PRESETS["terse_teacher"], task="terse_teacher")
    assert (chosen.beta, chosen.temperature, chosen.rollouts, chosen.test_problems >= 2000) == (0.3, 1.0, 5, True)


def test_whole_solution_alone_is_correct() -> None:
    task = TASKS["arithmetic"]()
    assert task.correct([PROBLEM] * 3, [Text("The answer is 3.", True), Text("The answer is 3.", False),
                                        Text("The answer is 4.", True)]) == [True, False, False]


@pytest.mark.parametrize(("given", "message"), [
    (["nothing=1"], "allowed keys are test_problems"), (["sizes=[1,"], "not JSON"),
    (["beta=[1]"], "a value like 1.0")])
def test_wrong_setting_is_explained(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(Settings, given, task="arithmetic")


def test_seeds_share_one_base_model_unless_each_is_to_have_its_own(tmp_path: Path) -> None:
    few = {"task": "star_graph", "base_updates": 1, "test_problems": 2, "sizes": (2,), "sft_sizes": (2,)}
    for own, names in ((False, ["base"]), (True, ["base-3", "base-4"])):
        study = Study(Settings(**few, own_base=own), tmp_path / str(own), "cpu")
        study.run([3, 4], [], [])
        assert [study.begin(seed).name for seed in (3, 4)] == [names[0], names[-1]]
        made = {(folder / "model.safetensors").read_bytes() for folder in (study.out / "models").iterdir()}
        assert len(made) == len(names)


@pytest.mark.slow
def test_study_runs_every_arm_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped model stands in for the base: it is right often enough to give positives, negatives and pits."""
    shutil.copytree(SHIPPED, tmp_path / "models" / "base")
    command = ["--out", str(tmp_path), "--device", "cpu", "--resamples", "20", "--seeds", "0", "--set", "sizes=[8]",
               "sft_sizes=[4,8]", "test_problems=16", "epochs=1", "least_updates=2", "samples=8", "negatives=3",
               "rollouts=4", "batch=4", "sft_rate=0.0001", "margin=0.0"]
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
