"""Verifiers of the user's own: the example of CONTRIBUTING.md in a run, and every way in which one can go wrong."""

import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.processes import assert_gone
from helpers.runs import SMALL, execute, rows
from loguru import logger

from stepforge.builders.errors import UserError
from stepforge.builders.release import read_manifest
from stepforge.pipelines import plan
from stepforge.pipelines.answers import Claim, open_verifier, pool, versions
from stepforge.pipelines.answers.custom import CustomVerifier
from stepforge.pipelines.recipe import Recipe, RecipeError, load_recipe
from stepforge.pipelines.stages.annotate import make_policy

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"
RECIPE: dict[str, Any] = SMALL | {
    "judge": None, "verify": {"verifier": "within:verify"},
    "problems": [{"source": "arithmetic", "limit": 5, "steps": [3, 4]}]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example() -> str:
    """The program that CONTRIBUTING.md shows under `Add a verifier`."""
    section = CONTRIBUTING.read_text(encoding="utf-8").partition("## Add a verifier")[2]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


def test_example_of_contributing_judges_a_whole_run(here: Path) -> None:
    program = example()
    assert len(program.splitlines()) <= 20
    (here / "within.py").write_text(program)
    execute(RECIPE, here / "run")
    problems = {row["problem_id"]: row["answer"] for row in rows(here / "run", "problems")}
    of_solution = {row["solution_id"]: problems[row["problem_id"]] for row in rows(here / "run", "solutions")}
    verdicts = [row for row in rows(here / "run", "verdicts") if row["method"] == "tolerance"]
    assert len(verdicts) > 20
    for row in verdicts:
        gold, number = float(of_solution[row["solution_id"]]), float(row["answer"])
        assert (row["verdict"] == "correct") == (abs(number - gold) <= abs(gold) / 100)
    assert {row["verdict"] for row in verdicts} == {"correct", "incorrect"}
    for row in rows(here / "run", "rollouts"):
        number = float(row["completion"].rpartition("The answer is")[2].strip(" .\n") or "nan")
        near = abs(number - float(problems[row["problem_id"]])) <= abs(float(problems[row["problem_id"]])) / 100
        assert (row["verdict"] == "correct") == near
    assert read_manifest(here / "run" / "release")["verifier"]["within:verify"] == "1"

    assert to_do(here / "run") == []
    (here / "within.py").write_text(program.replace("VERSION = 1 ", "VERSION = 2 "))
    assert to_do(here / "run")[0] == "verify"


def to_do(folder: Path) -> list[str]:
    return [planned.stage.name for planned in plan.plan(Recipe.model_validate(RECIPE), folder) if planned.reason]


@pytest.mark.parametrize(("program", "message"), [
    (None, r"module 'mine' cannot be imported \(ModuleNotFoundError.*current folder"),
    ("def verify(:", r"module 'mine' cannot be imported \(SyntaxError"),
    ("import sys; sys.exit('bye')", r"cannot be imported \(SystemExit: 'bye'"),
    ("import os; os._exit(3)", "ended with code 3"),
    ("import time; time.sleep(60)", "not ready after 2 s"),
    ("VERSION = 1", r"mine.py has no function 'verify'"),
    ("VERSION = 1; verify = 7", r"mine.py has no function 'verify'"),
    ("def verify(claim): pass", "has no VERSION"),
    ("VERSION = None\ndef verify(claim): pass", "has no VERSION"),
    ("VERSION = 1\ndef verify(gold, solution): pass", "must take one argument, a Claim"),
])
def test_module_that_cannot_be_used_is_told_before_anything_runs(
        program: str | None, message: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "sleep" in (program or ""):
        monkeypatch.setattr(pool, "START_SECONDS", 2.0)
    if program is not None:
        (here / "mine.py").write_text(program)
    with pytest.raises(UserError, match=message):
        execute(RECIPE | {"verify": {"verifier": "mine:verify"}}, here / "run")
    assert not (here / "run" / "tables").exists()


@pytest.mark.parametrize("name", ["maths", "mine.py", "a b:c", "mine:", ":verify", "mine:verify()", "mine:a.b", ""])
def test_name_that_cannot_be_a_verifier_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"name: x\nproblems: [{{source: arithmetic}}]\nverify: {{verifier: '{name}'}}\n"
                                     "generators: [{name: tiny, engine: embedded}]\n")
    with pytest.raises(RecipeError, match="verify.verifier"):
        load_recipe(tmp_path / "r.yaml")


def test_file_in_the_current_folder_never_hides_an_installed_module(here: Path) -> None:
    (here / "colorsys.py").write_text("VERSION = 1\ndef verify(claim): pass\n")
    with pytest.raises(UserError, match=r"lib/python.*colorsys.* has no function 'verify'"):
        versions("colorsys:verify")


BEHAVIOURS = textwrap.dedent("""
    import os, subprocess, sys, time
    from stepforge.pipelines.answers import Verdict

    VERSION = "2024-11"
    RIGHT = Verdict("5", "5", "correct", None, "mine")

    def burn():
        while True:
            pass

    BEHAVIOURS = {
        "right": lambda: RIGHT,
        "prints": lambda: print("[1, 0, null]", flush=True) or os.write(1, b"[1, 0, null]\\n") and RIGHT,
        "reads": lambda: RIGHT._replace(answer=sys.stdin.read()),
        "raises": lambda: {}["key"],
        "exits": lambda: sys.exit(0),
        "recurses": lambda: BEHAVIOURS["recurses"](),
        "fills memory": lambda: bytearray(1 << 40) and RIGHT,
        "none": lambda: None,
        "bool": lambda: True,
        "tuple": lambda: tuple(RIGHT),
        "word": lambda: RIGHT._replace(verdict="right"),
        "list": lambda: RIGHT._replace(verdict=["correct"]),
        "number": lambda: RIGHT._replace(answer=5),
        "surrogate": lambda: RIGHT._replace(answer_key="\\ud800"),
        "long": lambda: RIGHT._replace(answer="5" * 100_000),
        "no reason": lambda: RIGHT._replace(verdict="undecided"),
        "prose": lambda: RIGHT._replace(verdict="undecided", reason="I do not know"),
        "no method": lambda: RIGHT._replace(method=None),
        "unknown": lambda: RIGHT._replace(verdict="undecided", reason="no_proof"),
        "crashes": lambda: os._exit(1),
        "burns": burn,
        "burns elsewhere": lambda: subprocess.run([sys.executable, "-c", "while True: pass"]) and RIGHT,
        "sleeps": lambda: time.sleep(600),
        "sleeps elsewhere": lambda: subprocess.run(["sleep", "600"]) and RIGHT,
    }

    def verify(claim):
        return BEHAVIOURS[claim.solution]()
""")


@pytest.fixture(scope="module")
def behaviours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustomVerifier]:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "behaviours.py").write_text(BEHAVIOURS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(pool, "LEAST_BACKSTOP", 1.0)
        patch.setattr(pool, "BACKSTOP", 6.0)
        with CustomVerifier("behaviours:verify", timeout_s=0.5) as verifier:
            yield verifier


@pytest.mark.parametrize(("solution", "verdict", "reason"), [
    ("right", "correct", None), ("prints", "correct", None), ("reads", "correct", None),
    ("unknown", "undecided", "no_proof"),
    *((name, "undecided", "verifier_failed") for name in ("raises", "exits", "recurses", "no such behaviour")),
    ("fills memory", "undecided", "out_of_bounds"),
    *((name, "undecided", "invalid_verdict") for name in ("none", "bool", "tuple", "word", "list", "number", "long",
                                                          "surrogate", "no reason", "prose", "no method")),
    ("crashes", "undecided", "worker_died"),
    *((name, "undecided", "timeout") for name in ("burns", "burns elsewhere", "sleeps")),
    ("right", "correct", None),
])
def test_whatever_a_verifier_does_is_a_verdict(behaviours: CustomVerifier, solution: str, verdict: str,
                                               reason: str | None) -> None:
    assert behaviours.verify(Claim("5", solution))[2:4] == (verdict, reason)


def test_nothing_that_a_verifier_started_outlives_its_time(behaviours: CustomVerifier) -> None:
    assert behaviours.verify(Claim("5", "right")).verdict == "correct"
    group = behaviours._pool.idle.queue[0].process.pid
    assert behaviours.verify(Claim("5", "sleeps elsewhere")).reason == "timeout"
    assert_gone([process for process in psutil.process_iter() if group_of(process) == group])


def group_of(process: psutil.Process) -> int | None:
    """None of a process that has ended."""
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def test_rollouts_are_judged_by_the_verifier_of_the_recipe(here: Path) -> None:
    (here / "never.py").write_text("from stepforge.pipelines.answers import Verdict\nVERSION = 1\n"
                                   "def verify(claim): return Verdict('1', '1', 'incorrect', None, 'never')\n")
    options = Recipe.model_validate(SMALL | {"verify": {"verifier": "never:verify"}})
    generator = options.generator("tiny")
    with make_policy(generator, 0, options.verify) as shared:
        [verdict] = shared["policy"].verifier.verify_many([Claim("5", "The answer is 5")])
    assert (verdict.verdict, verdict.method) == ("incorrect", "never")


def test_order_is_kept_and_others_are_untouched_by_a_crash(behaviours: CustomVerifier) -> None:
    solutions = ["right", "raises", "crashes", "unknown"] * 5
    verdicts = list(behaviours.verify_many(Claim("5", text) for text in solutions))
    assert [verdict.reason for verdict in verdicts] == [None, "verifier_failed", "worker_died", "no_proof"] * 5


def test_vote_is_the_key_that_the_function_gives(behaviours: CustomVerifier) -> None:
    assert behaviours.stated("right", True) == ("5", "5")
    assert behaviours.stated("raises", True) is None
    assert behaviours.versions() == {"behaviours:verify": "2024-11", "stepforge-answers": versions()[
        "stepforge-answers"]}


def test_messages_are_logged_once_each_and_few(behaviours: CustomVerifier) -> None:
    messages: list[str] = []
    sink = logger.add(lambda message: messages.append(message.record["message"]), level="WARNING")
    behaviours._complaints.clear()
    list(behaviours.verify_many(Claim("5", f"no {number % 20}") for number in range(60)))
    logger.remove(sink)
    assert len(messages) == len(set(messages)) == 10
    assert messages[0].startswith("verifier behaviours:verify: KeyError:") and "behaviours.py:" in messages[0]


def test_math_is_the_default() -> None:
    assert Recipe.model_validate(SMALL).verify.verifier == "math"
    with open_verifier() as verifier:
        assert verifier.stated("I see 4 and 7", True) is verifier.stated("The answer is 4", False) is None
        assert verifier.stated("The answer is 1/2.", True) == ("1/2", "1/2")


def test_nothing_of_the_user_is_imported_here() -> None:
    assert not {"within", "mine", "behaviours"} & set(sys.modules)
