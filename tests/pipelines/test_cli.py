"""What a person meets at the command line."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
import yaml
from helpers.cli import stepforge
from helpers.runs import SMALL
from typer.testing import CliRunner

from stepforge.pipelines import cli, plan

COMMANDS = ["run", "recipe", "plan", "show", "audit", "train", "evaluate"]


def test_help_names_every_command(tmp_path):
    done = stepforge("--help", cwd=tmp_path)
    assert done.returncode == 0 and all(command in done.stdout for command in COMMANDS)


def test_version_and_the_options_of_recipes(tmp_path):
    assert stepforge("--version", cwd=tmp_path).stdout.split() == ["stepforge", version("stepforge")]
    lines = stepforge("recipe", "--options", cwd=tmp_path).stdout.splitlines()
    options = {path: (default, use) for path, default, use in (line.split("\t") for line in lines)}
    assert len(options) == len(lines) > 100 and options["judge.correct_per_generator"][0] == "200", options
    assert "properties" in json.loads(stepforge("recipe", "--schema", cwd=tmp_path).stdout)
    assert all(name in stepforge("recipe", "--list", cwd=tmp_path).stdout for name in ("demo", "gsm8k"))


@pytest.mark.parametrize(("words", "offered"), [
    ("stepforge re", {"recipe", "report"}),
    ("stepforge run g", {"gsm8k"}),
    ("stepforge run m", {"mine.yaml", "more/"}),
    ("stepforge run more/", {"more/x.yml"}),
    ("stepforge train step", {"step_dpo"}),
])
def test_shell_completes_commands_recipes_and_methods(tmp_path, words, offered):
    (tmp_path / "more").mkdir()
    for name in ("mine.yaml", "mine.txt", "more/x.yml"):
        (tmp_path / name).write_text("")
    asked = {"_STEPFORGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([Path(sys.executable).parent / "stepforge"], cwd=tmp_path, text=True, capture_output=True,
                          check=False, env=os.environ | asked)
    assert set(done.stdout.split()) == offered, done.stderr


def test_every_command_has_the_short_option_of_help(tmp_path):
    """`-h`, also in the groups of commands; train and evaluate pass theirs on."""
    app = typer.main.get_command(cli.app)
    commands = [[name, *inner] for name, command in app.commands.items()
                for inner in ([], *([inner] for inner in getattr(command, "commands", ())))]
    assert len(commands) > 20
    for words in commands:
        asked = CliRunner().invoke(cli.app, [*words, "-h"])
        assert asked.exit_code == 0 and "usage" in asked.output.lower(), words


@pytest.mark.parametrize(("arguments", "part"), [
    (["rnu"], "Did you mean 'run'?"), (["audit", "exprot"], "Did you mean 'export'?"),
    (["plan", "demo", "--pobe"], "--probe"), (["run", "dmeo"], "did you mean 'demo'?"),
    (["train", "stf"], "did you mean 'sft'?"),
])
def test_near_names_are_offered(tmp_path, arguments, part):
    done = stepforge(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and part in done.stderr, done.stderr


HEAVY = {"torch", "datasets", "datatrove", "polars", "fsspec", "pandas", "matplotlib", "sympy", "jinja2"}
IMPORTED = """
import sys
import tomllib
from stepforge.pipelines import cli
try:
    if sys.argv[1:]:
        cli.main()
finally:
    sys.stderr.write(" ".join(sys.modules))
"""


@pytest.mark.parametrize(("arguments", "heavy"), [
    ([], HEAVY | {"duckdb", "pyarrow", "pydantic", "importlib.metadata"}),
    (["recipe", "demo"], HEAVY | {"duckdb"}),
    (["status", "RUN"], HEAVY | {"duckdb"}),
    (["show", "RUN"], HEAVY),
])
def test_command_imports_nothing_heavy(small_run, tmp_path, arguments, heavy):
    """Startup counts: a module that takes long to import belongs into the command that needs it."""
    words = [str(small_run) if word == "RUN" else word for word in arguments]
    done = subprocess.run([sys.executable, "-c", IMPORTED, *words], cwd=tmp_path, text=True, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert heavy & set(done.stderr.split()) == set()


@pytest.mark.parametrize("asked", [["--help"], []])
def test_help_of_train_names_every_method(tmp_path, asked):
    done = stepforge("train", *asked, cwd=tmp_path)
    assert done.returncode == 0 and "sft, rft, dpo, step_dpo, kto, awr, prm, grpo" in done.stdout


def test_train_without_a_package_of_its_extra_says_what_to_install(tmp_path):
    """`make demo` installs torch but not trl. A missing module of our own is a bug and keeps its traceback."""
    for name, missing in (("trl", "trl"), ("peft", "nowhere")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{missing}'\", name='{missing}')")
    done = stepforge("train", "sft", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path / "trl"))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "pip install 'stepforge[train]' (missing: trl)" in done.stderr
    bug = stepforge("train", "sft", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path / "peft"))
    assert bug.returncode == 1 and "No module named 'nowhere'" in bug.stderr, bug.stderr


def test_packages_that_training_needs_are_those_of_the_extra():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"]
    names = {re.split(r"[><=]", needed)[0] for needed in extras["train"] + extras["embedded"]}
    assert set(cli.TRAINING) == names - {"stepforge[embedded]"}


@pytest.mark.parametrize(("change", "parts"), [
    ({"sead": 1}, ["sead", "unknown key"]),
    ({"problems": [{"source": "files", "paths": ["absent.jsonl"]}]}, ["absent.jsonl"]),
    ({"problems": [{"source": "files", "paths": ["bad.jsonl"]}]}, ["bad.jsonl", "problem"]),
    ({"generators": [{"name": "tiny", "engine": "embedded", "prompt": "no template"}]}, ["no template", "plain"]),
    ({"generators": [{"name": "tiny", "engine": "embedded", "model": "no/such/model"}]}, ["no/such/model"]),
])
def test_mistake_is_one_message_with_code_2(tmp_path, change, parts):
    (tmp_path / "bad.jsonl").write_text('{"question": "x"}\n')
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(SMALL | change))
    done = stepforge("run", "r.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and all(part in done.stderr for part in parts), done.stderr


@pytest.mark.parametrize("arguments", [
    ["check", "no\x1b[31mwhere"], ["diff", "local:no\x1b[31mwhere", "1.0.0", "2.0.0"], ["versions", "\x1b[31m"],
    ["run", "no\x1b[31mwhere.yaml"], ["show", "no\x1b[31mwhere"], ["train", "\x1b[31m"]])
def test_an_error_does_not_steer_the_terminal(tmp_path, arguments):
    done = stepforge(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "\x1b" not in done.stderr + done.stdout and "Traceback" not in done.stderr


def test_plan_and_show_of_a_finished_run(small_run, tmp_path):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(SMALL))
    planned = stepforge("plan", "r.yaml", "--out", small_run.parent, cwd=tmp_path)
    assert planned.returncode == 0 and planned.stdout.count("done") == len(plan.STAGES)
    listed = stepforge("show", small_run, cwd=tmp_path)
    solution_id = next(word for line in listed.stdout.splitlines() if "incorrect" in line for word in line.split()
                       if len(word) == 12)
    shown = stepforge("show", small_run, solution_id, cwd=tmp_path)
    assert shown.returncode == 0 and "pit >" in shown.stdout and "incorrect" in shown.stdout
    missing = stepforge("show", small_run, "zzz", cwd=tmp_path)
    assert missing.returncode == 2 and "no solution" in missing.stderr
