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


def snippets(manifest: dict, default: str) -> list[Snippet]:
    """Programs for the configs that the release has."""
    made = [Snippet(Safe("Load a config, or stream it"), "\n".join([
        "from datasets import load_dataset", "",
        f"dataset = {load_line(manifest, default)}",
        f"stream = {load_line(manifest, default, streaming=True)}"]))]
    for name in (name for name in CONFIGS if manifest["configs"].get(name, {}).get("rows", {}).get("train")):
        if training := CONFIGS[name].training:
            made.append(_program(manifest, name, training))
    return made


def _program(manifest: dict, name: str, training: Training) -> Snippet:
    """A program that takes the rows of a config, and trains on them with plain TRL where that can.

    Columns are picked because trainers read the columns that they know by name and some refuse what they do not know.
    """
    lines = ["from datasets import load_dataset"]
    if training.method:
        lines.append(f"from trl import {training.method}Config, {training.method}Trainer")
    lines += ["", f"rows = {load_line(manifest, name, 'train')}", f"rows = rows.filter(lambda row: {training.keep})"]
    if training.method:
        lines += [f"rows = rows.select_columns({_quoted(training.columns)})",
                  f"args = {training.method}Config({_quoted(name + '-model')})",
                  f"trainer = {training.method}Trainer({_quoted(_MODEL)}, args=args, train_dataset=rows)",
                  "trainer.train()"]
    return Snippet(Safe(training.title), "\n".join(lines))


def _quoted(value: object) -> str:
    """A string, or a list of them, as a program writes it."""
    return json.dumps(value, ensure_ascii=False)
