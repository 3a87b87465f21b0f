"""`stepforge init` writes a recipe that `recipe` and `plan` accept, by questions and by options alone."""

import json

import pytest
import yaml
from helpers.commands import command

from stepforge.pipelines.recipe import Recipe, load_recipe
from stepforge.pipelines.starter import QUESTIONS, is_list, option

ROWS = [{"question": f"What is {n} + 1?", "gold": str(n + 1),
         "outputs": [f"The answer is {n + 1}.", f"The answer is {n}."]} for n in range(4)]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def test_own_samples_by_options_alone_run_to_a_release(home):
    done = command("init", "--yes", "--kind", "own", "--samples", "s.jsonl", cwd=home)
    assert done.returncode == 0, done.stderr
    text = (home / "recipe.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=recipe.schema.json\n") and text.count(" # ") >= 4
    assert json.loads((home / "recipe.schema.json").read_text()) == Recipe.model_json_schema()
    ran = command("run", "recipe.yaml", "--set", "deduplicate.near_problems=null", "--set", "release.splits={}",
                  cwd=home)
    assert ran.returncode == 0, ran.stderr
    manifest = json.loads((home / "releases/recipe/v1.0.0/stepforge.json").read_text())
    assert manifest["configs"]["positives"]["rows"]["train"] == manifest["configs"]["negatives"]["rows"]["train"] == 4
    again = command("run", "recipe.yaml", "--set", "deduplicate.near_problems=null", "--set", "release.splits={}",
                    "--set", "release.configs=[positives, negatives]", cwd=home)
    assert again.returncode == 0 and (home / "releases/recipe/v2.0.0").is_dir(), again.stderr


@pytest.mark.parametrize(("file", "name"), [
    ("my recipe.yaml", "my-recipe"), ("übung (2).yaml", "bung-2"), ("_.yaml", "recipe"), ("問題.yaml", "recipe"),
    ("a.b-c_1.yaml", "a.b-c_1")])
def test_the_default_name_is_allowed_whatever_the_file_is_called(home, file, name):
    done = command("init", file, "--yes", "--kind", "vllm", "--model", "tiny", cwd=home)
    assert done.returncode == 0, done.stderr
    recipe = load_recipe(home / file)
    assert (recipe.name, recipe.release.to) == (name, f"local:releases/{name}")


@pytest.mark.parametrize(("kind", "typed", "expected"), [
    ("1", ["s.jsonl", "", "", "", "", "llama", "mine", "hub:org/mine"],
     {"engine": "recorded", "name": "llama", "columns": {"problem": "question", "solutions": "outputs"}}),
    ("endpoint", ["http://h:1/v1", "m", "chat", "KEY", "s.jsonl"],
     {"engine": "endpoint", "url": "http://h:1/v1", "model": "m", "api": "chat", "key_variable": "KEY"}),
    ("3", ["org/model", "math"], {"engine": "vllm", "model": "org/model"}),
])
def test_questions_are_asked_in_turn_and_an_ended_pipe_takes_the_defaults(home, kind, typed, expected):
    done = command("init", "mine.yaml", cwd=home, typed="\n".join([kind, *typed]) + "\n")
    assert done.returncode == 0, done.stdout + done.stderr
    recipe = load_recipe(home / "mine.yaml")
    generator = recipe.generators[0].model_dump(mode="json")
    assert generator | expected == generator
    assert (recipe.annotate is None) == (kind != "3")
    assert recipe.problems[0].source == ("math" if kind == "3" else "files")


@pytest.mark.parametrize("options", [
    ["--kind", "own", "--samples", "s.jsonl"], ["--kind", "vllm", "--model", "tiny"],
    ["--kind", "endpoint", "--model", "m"], ["--kind", "endpoint", "--model", "m", "--api", "chat"],
    ["--kind", "vllm", "--model", "tiny", "--problems", "s.jsonl"],
])
def test_written_recipe_passes_recipe_and_plan(home, options):
    assert command("init", "x.yaml", "-y", *options, cwd=home).returncode == 0
    shown, planned = command("recipe", "x.yaml", cwd=home), command("plan", "x.yaml", cwd=home)
    assert shown.stdout.strip() == (home / "x.yaml").read_text().strip()
    assert planned.returncode == 0 and "never ran" in planned.stdout, planned.stderr


@pytest.mark.parametrize(("options", "parts"), [
    (["--kind", "vlm"], ["'vllm'", "own, endpoint, vllm"]),
    ([], ["--kind is needed"]),
    (["--kind", "vllm"], ["--model is needed"]),
    (["--kind", "vllm", "--url", "http://h"], ["no --url", "--model, --problems"]),
    (["--kind", "endpoint", "--model", "m", "--api", "chatt"], ["api", "did you mean 'chat'?"]),
    (["--kind", "own", "--samples", "absent.jsonl"], ["absent.jsonl"]),
    (["--kind", "own", "--samples", "odd.jsonl"], ["--problem is needed"]),
    (["--kind", "own", "--samples", "s.jsonl", "--to", "org/name"], ["hub:ORG/NAME"]),
])
def test_mistake_is_one_message_and_writes_nothing(home, options, parts):
    (home / "odd.jsonl").write_text('{"a": 1}\n')
    done = command("init", "-y", *options, cwd=home)
    assert done.returncode == 2 and all(part in done.stderr for part in parts), done.stderr
    assert not (home / "recipe.yaml").exists()


def test_a_file_that_exists_is_kept(home):
    (home / "recipe.yaml").write_text("mine")
    done = command("init", "-y", "--kind", "vllm", "--model", "m", cwd=home)
    assert done.returncode == 2 and "exists" in done.stderr and (home / "recipe.yaml").read_text() == "mine"


@pytest.mark.parametrize("odd", ['a"b', "a: b #c", "{{ 7*7 }}", "é\u2028x", "a'b<c>&"])
def test_answers_stay_text_whatever_they_hold(home, odd):
    done = command("init", "-y", "--kind", "endpoint", "--model", odd, cwd=home)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((home / "recipe.yaml").read_text(encoding="utf-8"))["generators"][0]["model"] == odd


def test_a_list_of_solutions_is_seen_in_the_first_row(home):
    assert is_list(str(home / "s.jsonl"), "outputs") and is_list(str(home / "s.jsonl"), "a[].b")
    assert not is_list(str(home / "s.jsonl"), "question")
    (home / "s.csv").write_text("question,outputs\nq,\"['a', 'b']\"\n")
    assert is_list(str(home / "s.csv"), "outputs") and not is_list(str(home / "s.csv"), "question")


def test_every_question_has_an_option():
    shown = command("init", "--help", cwd=".").stdout
    assert {option(question.name) for questions in QUESTIONS.values() for question in questions} <= set(shown.split())
