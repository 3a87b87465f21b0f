"""A release tells nothing of the machine that made it, whichever option named a path, an address or a variable."""

import getpass
import json
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from helpers.failing_server import Reply, completion, scripted
from helpers.runs import SMALL, execute

from stepforge.pipelines.options.places import conceal, public_name
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.build import described

ODD = "home of alice.o'neil & co (new)"


def everything(folder: Path) -> str:
    """Names and contents of all files below a folder, Parquet as its values too."""
    texts = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            texts += [path.relative_to(folder).as_posix(), path.read_bytes().decode("latin-1")]
            if path.suffix == ".parquet":
                texts += [json.dumps(pq.read_table(path).to_pylist(), default=str), str(pq.read_schema(path).metadata)]
    return "\n".join(texts)


def test_no_file_of_a_release_names_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ODD
    home.mkdir()
    monkeypatch.setenv("KEY_OF_ALICE", "sk-secret-of-alice-0123456789")
    sums = {f"What is {a} + {a + 4}?": 2 * a + 4 for a in range(11, 15)}
    given = home / "problems.jsonl"
    given.write_text("".join(json.dumps({"problem": problem, "answer": str(answer),
                                         "solution": f"It is {answer}.\n#### {answer}"}) + "\n"
                             for problem, answer in sums.items()))
    other = home / "evaluation.jsonl"
    other.write_text('{"problem": "Is it raining in the town of Ur today?", "answer": "1"}\n')

    def answer(number: int, body: dict) -> Reply:
        return Reply(400, "content_filter") if "11 + 15" in body["prompt"] else completion(f"It is {30 + number % 2}.")

    with scripted({"": answer}) as server:
        port = urlsplit(server.url).port
        recipe = SMALL | {
            "problems": [{"source": "files", "paths": [str(given)]}], "judge": None, "annotate": None,
            "decontaminate": {"against": [{"source": "files", "paths": [str(other)]}]},
            "generators": [
                {"name": "there", "engine": "endpoint", "model": "m", "url": server.url, "samples": 2,
                 "key_variable": "KEY_OF_ALICE", "extra": {"cache": "/scratch/alice"}},
                {"name": "given", "engine": "recorded", "paths": [str(given)], "model": str(home / "model")}],
            "release": {"splits": {}, "to": f"local:{home / 'published'}"}}
        execute(recipe, home / "run")
    manifest = json.loads((home / "published/v1.0.0/stepforge.json").read_text())
    assert manifest["recipe"]["generators"][0]["url"].startswith("address-")
    texts = everything(home / "run/release") + everything(home / "published/v1.0.0")
    names = [ODD, "alice", str(tmp_path), tmp_path.name, f":{port}", "127.0.0.1", "KEY_OF_ALICE", "/scratch",
             socket.gethostname(), str(Path.home() / ""), os.getcwd()]
    assert [name for name in names if len(name) > 2 and name in texts] == []
    if len(getpass.getuser()) > 4:
        assert getpass.getuser() not in texts
    assert "#### 30" in texts and "It is 31." in texts


@pytest.mark.parametrize(("text", "name"), [
    ("samples/a b.jsonl", "samples/a b.jsonl"), ("tiny", "tiny"), ("Qwen/Qwen2.5-1.5B", "Qwen/Qwen2.5-1.5B"),
    ("hub:org/name", "hub:org/name"), ("local:releases/demo", "local:releases/demo"), ("4 / 5 model", "4 / 5 model"),
    ("hf://datasets/org/name@v1/x.parquet", "hf://datasets/org/name@v1/x.parquet")])
def test_a_name_that_the_recipe_gives_stays(text: str, name: str) -> None:
    assert public_name(text) == name


@pytest.mark.parametrize(("text", "start"), [
    ("/home/alice/x.jsonl", "path-"), ("~/x.jsonl", "path-"), ("../alice/x.jsonl", "path-"),
    ("local:/home/alice/out", "local:path-"), ("local:~/out", "local:path-"), ("s3://alice-bucket/x", "address-"),
    ("http://alice.example:8000/v1", "address-"), ("--download-dir=/home/alice", "path-"),
    ("file:///home/x", "address-")])
def test_a_path_or_an_address_becomes_a_hash(text: str, start: str) -> None:
    name = public_name(text)
    assert name.startswith(start) and "alice" not in name and name == public_name(text) != public_name(text + "2")


def test_one_recipe_describes_itself_alike_in_every_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                   ) -> None:
    """Else the same recipe, run from another folder, is refused under its own version as one of other settings."""
    given = [str(tmp_path / "a/b.jsonl"), str(tmp_path / "a/../../b.jsonl"), "samples/c.jsonl"]
    recipe = Recipe.model_validate(SMALL | {"problems": [{"source": "files", "paths": given}]})
    descriptions = []
    for folder in (tmp_path, tmp_path / "a", Path("/")):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        descriptions.append(described(recipe))
    assert descriptions[0] == descriptions[1] == descriptions[2]
    assert descriptions[0]["problems"][0]["paths"][2] == "samples/c.jsonl"


def test_names_of_options_are_replaced_wherever_they_stand() -> None:
    recipe = Recipe.model_validate(SMALL | {"problems": [{"source": "files", "paths": ["/data/alice/x.jsonl"]}]})
    safe = conceal({"found": ["/data/alice/x.jsonl, b"], "/data/alice/x.jsonl": 1, "prompt": "1 / 2"}, recipe)
    assert "alice" not in json.dumps(safe) and safe["prompt"] == "1 / 2" and safe["found"][0].endswith(", b")


def test_a_short_path_changes_no_text_that_only_contains_its_letters() -> None:
    recipe = Recipe.model_validate(SMALL | {"problems": [{"source": "files", "paths": ["/data"]}]})
    free = ["https://example.org/data/license", "my/data", "/database", "/data.zip", "/data-2"]
    assert conceal(free, recipe) == free
    concealed = conceal(["/data", "in /data, /data/a.jsonl:", "(/data)", "See /data."], recipe)
    assert not any("/data" in text for text in concealed) and concealed[1].endswith("/a.jsonl:")


PLACES = {"path", "paths", "url", "to", "adapter", "value_model", "arguments", "extra"}


def test_every_option_that_may_name_a_place_is_marked() -> None:
    """Options named so, and every `model`, in the whole recipe."""
    from stepforge.pipelines.options.places import Place
    from stepforge.pipelines.options.reference import models_in

    seen, todo = set(), [Recipe]
    while todo:
        model = todo.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            todo += models_in(field.annotation)
            if name in PLACES | {"model"} and model.__name__ != "Executor":
                assert any(isinstance(mark, Place) for mark in field.metadata), f"{model.__name__}.{name}"
    assert len(seen) > 10
