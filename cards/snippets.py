"""The pieces of Python on a card: how to load each config, and how to train on it with TRL as it is.

In goes the manifest, out come titled programs that run when pasted. Names enter them as quoted strings alone.
"""

import json
from typing import NamedTuple

from stepforge.cards.markdown import Safe

_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
# Columns are picked because trainers read the columns that they know by name and some refuse what they do not know.
_TRL = {
    "positives": ("Fine-tune on correct solutions (SFT)", "SFT", ["prompt", "completion"]),
    "pairs": ("Prefer correct over incorrect solutions (DPO)", "DPO", ["prompt", "chosen", "rejected"]),
    "unpaired": ("Learn from labels without pairs (KTO)", "KTO", ["prompt", "completion", "label"]),
}


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
    for config, (title, method, columns) in _TRL.items():
        if "train" in manifest["configs"].get(config, {}).get("rows", {}):
            made.append(Snippet(Safe(title), "\n".join([
                "from datasets import load_dataset",
                f"from trl import {method}Config, {method}Trainer", "",
                f"rows = {load_line(manifest, config, 'train')}",
                f"rows = rows.select_columns({_quoted(columns)})",
                f"args = {method}Config({_quoted(config + '-model')})",
                f"trainer = {method}Trainer({_quoted(_MODEL)}, args=args, train_dataset=rows)",
                "trainer.train()"])))
    return made


def _quoted(value: object) -> str:
    """A string, or a list of them, as a program writes it."""
    return json.dumps(value, ensure_ascii=False)
