"""The pieces of Python on a card: how to load each config, and how to train on it with TRL as it is.

In goes the manifest, out come titled programs that run when pasted. Names enter them as quoted strings alone.
"""

import json
from typing import NamedTuple

from stepforge.builders.configs import CONFIGS
from stepforge.builders.configs.base import Training
from stepforge.cards.markdown import Safe

_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


class Snippet(NamedTuple):
    title: Safe
    program: str


def load_line(manifest: dict, config: str, split: str | None = None, streaming: bool = False) -> str:
    """A call of `load_dataset` for one config; before the release has a repository, for its folder."""
    repo = manifest.get("repo")
    arguments = [_quoted(repo or "path/to/this/folder"), _quoted(config)]
    if repo and manifest.get("version"):
        arguments.append(f"revision={_quoted('v' + manifest['version'])}")
    if split:
        arguments.append(f"split={_quoted(split)}")
    if streaming:
        arguments.append("streaming=True")
    return f"load_dataset({', '.join(arguments)})"


def _address(manifest: dict) -> str:
    """Where polars and DuckDB find the files of this version; before it has a repository, its folder."""
    if not manifest.get("repo"):
        return "path/to/this/folder"
    version = manifest.get("version")
    return f"hf://datasets/{manifest['repo']}" + (f"@v{version}" if version else "")


def snippets(manifest: dict, default: str) -> list[Snippet]:
    """Programs for the configs that the release has."""
    files = f"{_address(manifest)}/{default}/train-*.parquet"
    query = f"FROM '{files}'"
    made = [Snippet(Safe("Load a config, stream it, or read its Parquet files with polars or DuckDB"), "\n".join([
        "import duckdb", "import polars", "from datasets import load_dataset", "",
        f"dataset = {load_line(manifest, default)}",
        f"stream = {load_line(manifest, default, streaming=True)}",
        f"frame = polars.scan_parquet({_quoted(files)}).collect()",
        f"table = duckdb.sql({_quoted(query)})"]))]
    trained = {name: training for name, config in CONFIGS.items() if (training := config.training)
               and manifest["configs"].get(name, {}).get("rows", {}).get("train")}
    steps = {name: training for name, training in trained.items() if not training.method}
    made += [Snippet(Safe(training.title), "\n".join(["from datasets import load_dataset", "",
                                                      *_rows(manifest, name, training)]))
             for name, training in steps.items()]
    if with_trl := {name: training for name, training in trained.items() if training.method}:
        made.append(_with_trl(manifest, with_trl))
    return made


def _with_trl(manifest: dict, trained: dict[str, Training]) -> Snippet:
    """One program with a part for each method of TRL; each part runs alone below the imports.

    Columns are picked because trainers read the columns that they know by name and some refuse what they do not know.
    """
    names = sorted(f"{training.method}{part}" for training in trained.values() for part in ("Config", "Trainer"))
    lines = ["from datasets import load_dataset", f"from trl import {', '.join(names)}"]
    for name, training in trained.items():
        arguments = f"args={training.method}Config({_quoted(name + '-model')}), train_dataset=rows"
        lines += ["", f"# {training.title}", *_rows(manifest, name, training),
                  f"rows = rows.select_columns({_quoted(training.columns)})",
                  f"{training.method}Trainer({_quoted(_MODEL)}, {arguments}).train()"]
    return Snippet(Safe("Train with TRL"), "\n".join(lines))


def _rows(manifest: dict, name: str, training: Training) -> list[str]:
    return [f"rows = {load_line(manifest, name, 'train')}", f"rows = rows.filter(lambda row: {training.keep})"]


def _quoted(value: object) -> str:
    """A string, or a list of them, as a program writes it."""
    return json.dumps(value, ensure_ascii=False)
