"""The command line of the trainers: `--config NAME|FILE`, then options, of which the command line wins.

A trainer takes its own options (`ReleaseArguments` and what a method adds), those of the model, and TRL's: some 250 in
all. `--help` shows the first two kinds and twenty that matter; `--help-all` shows every one. A shipped recipe is named
as it is (`--config tiny_sft`), and so is the shipped model (`--model tiny`).
"""

import argparse
import sys
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from trl import ModelConfig, TrlParser

from stepforge.train.release import ReleaseError

MAIN = {  # TRL's options in the short help, in our words
    "output_dir": "Folder of the model, its card and its checkpoints.",
    "learning_rate": "Highest learning rate.",
    "lr_scheduler_type": "Course of the learning rate, such as constant_with_warmup, linear or cosine.",
    "warmup_steps": "Steps until the learning rate is at its highest; below 1, a share of all steps.",
    "num_train_epochs": "How often training sees every row.",
    "max_steps": "Optimizer steps; overrides --num_train_epochs. -1 for no limit.",
    "per_device_train_batch_size": "Rows per step and device.",
    "gradient_accumulation_steps": "Batches per optimizer step.",
    "max_length": "Rows of more tokens are dropped and counted.",
    "max_completion_length": "Most tokens that the model samples for a prompt.",
    "num_generations": "Samples per prompt.",
    "temperature": "Temperature of the samples.",
    "beta": "Strength of the tie to the reference model.",
    "weight_decay": "Weight decay.",
    "seed": "Seed of the order of rows and of everything else that is drawn.",
    "bf16": "Mixed precision; on where the hardware has it.",
    "gradient_checkpointing": "Compute activations twice and store fewer of them.",
    "use_peft": "Train LoRA adapters instead of all weights.",
    "lora_r": "Rank of the adapters.",
    "lora_target_modules": "Modules that get adapters.",
    "logging_steps": "Steps between two lines of the log.",
    "save_steps": "Steps between two checkpoints.",
    "save_total_limit": "Keep this many checkpoints.",
    "resume_from_checkpoint": "`last`, or the folder of a checkpoint, which must have the same settings.",
    "report_to": "Trackers that get the log: wandb, trackio, tensorboard, or none.",
    "push_to_hub": "Upload the model when training has ended.",
}


@dataclass
class ReleaseArguments:
    """Which rows of which release; every method takes these beside TRL's own arguments and those of the model."""

    dataset: str = field(default="", metadata={"help": "Release: a folder, local:PATH of versions, or a Hub id."})
    revision: str | None = field(default=None, metadata={"help": "Its version, such as v1.0.0; needed on the Hub."})
    dataset_config: str | None = field(default=None, metadata={"help": "Config; each method knows its own."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    eval_split: str | None = field(default=None, metadata={"help": "Split to evaluate the loss on, such as test."})
    max_rows: int | None = field(default=None, metadata={"help": "Train on this many rows, drawn by --seed."})


@dataclass
class ModelArguments(ModelConfig):
    """TRL's, with a shorter name for the model."""

    model_name_or_path: str | None = field(default=None, metadata={
        "aliases": ["--model"], "help": "A folder, an id on the Hub, or `tiny`: the model that the package ships."})


class Parser(TrlParser):
    """TRL's parser with two lengths of help, recipes by name, and mistakes as ReleaseError."""

    def __init__(self, method: str, arguments: type, training: type) -> None:
        self.method = method
        self.first = {*(one.name for one in fields(arguments)), "model_name_or_path", "help", *MAIN}
        super().__init__((arguments, training, ModelArguments), prog=f"stepforge train {method}",
                         usage=f"stepforge train {method} [--config NAME|FILE] [--OPTION VALUE ...]")

    def parse_args_and_config(self, args: list[str], **_: Any) -> tuple[Any, Any, ModelConfig]:
        """Script, training and model arguments; prints help and exits where that is asked for."""
        if "--help-all" in args:
            self.show_help(full=True)
        if {"-h", "--help"} & set(args):
            self.show_help(full=False)
        script, training, model, *unknown = super().parse_args_and_config(
            self.with_recipe(args), return_remaining_strings=True)
        if unknown[0]:
            word = next((word for word in unknown[0] if word.startswith("--")), unknown[0][0])
            raise ReleaseError(f"there is no option {word}{self.guess(word)}")
        return script, training, model

    def show_help(self, full: bool) -> NoReturn:
        for action in self._actions:
            if action.dest in MAIN and not full:
                action.help = MAIN[action.dest]
            elif not full and action.dest not in self.first:
                action.help = argparse.SUPPRESS
        recipes = ", ".join(name for name in shipped_recipes() if _fits(name, self.method))
        self.epilog = f"Shipped recipes for --config: {recipes}. --help-all lists every option of TRL's trainer."
        self.print_help()
        raise SystemExit(0)

    def with_recipe(self, args: list[str]) -> list[str]:
        """The arguments with the file of a shipped recipe in the place of its name."""
        words = [part for word in args for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
        if "--config" in words:
            place = words.index("--config") + 1
            if place == len(words):
                self.error("--config: give the name of a shipped recipe, or a YAML file")
            words[place] = str(recipe_file(words[place]))
        return words

    def guess(self, word: str) -> str:
        names = get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
        return f"; did you mean {names[0]}?" if names else ""

    def error(self, message: str) -> NoReturn:
        raise ReleaseError(message)


def parse(method: str, argv: list[str] | None, arguments: type, training: type) -> tuple[Any, Any, ModelConfig]:
    """Arguments of the script, the trainer and the model, from `--config` and, before it, the command line.

    Mixed precision is on only where the hardware has it: TRL would set bf16 on a CPU too. Raises ReleaseError.
    """
    parser = Parser(method, arguments, training)
    parser.set_defaults(bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    try:
        script, args, model = parser.parse_args_and_config(sys.argv[1:] if argv is None else argv)
    except ReleaseError:
        raise
    except (ValueError, OSError, TypeError, yaml.YAMLError) as error:
        raise ReleaseError(f"{error}; `stepforge train {method} --help` explains the options") from error
    model.model_name_or_path = model_folder(model.model_name_or_path)
    return script, args, model


def model_folder(model: str | None) -> str | None:
    """The folder of the shipped model for `tiny`; any other name as it is."""
    return str(files("stepforge.pipelines.inference") / "tiny") if model == "tiny" else model


def shipped_recipes() -> dict[str, Path]:
    """Files of the recipes that the package ships, by name; not accelerate's."""
    folder = Path(str(files("stepforge.train") / "recipes"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml")) if not file.stem.startswith("accelerate")}


def recipe_file(name: str) -> Path:
    """The file of that name, or the shipped recipe; ReleaseError where there is neither."""
    shipped, file = shipped_recipes(), Path(name)
    if file.is_file():
        return file
    if name not in shipped:
        near = get_close_matches(name, shipped, 1)
        raise ReleaseError(f"--config {name}: there is no such file{f'; did you mean {near[0]}?' if near else ''}; "
                           f"shipped recipes are {', '.join(shipped)}")
    return shipped[name]


def _fits(recipe: str, method: str) -> bool:
    """Whether the first line of a recipe, or the name of a tiny one, names the method."""
    if recipe.startswith("tiny_"):
        return recipe == f"tiny_{method}"
    first = shipped_recipes()[recipe].read_text(encoding="utf-8").splitlines()[0]
    return method in first.split(":")[0].replace(",", " ").split()
