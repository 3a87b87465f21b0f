"""What the methods share: their command line, their data on the way in, the model and its card on the way out.

A method gives its arguments, the columns it needs and a function that encodes one row; this file parses
`--config x.yaml --learning_rate ...` in TRL's manner, opens the release, encodes and counts its rows, trains, resumes,
saves, and has the model card written. A user's mistake ends in one message and exit code 2. Every method works alone
and under `accelerate launch -m`.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, Trainer
from transformers.trainer_utils import get_last_checkpoint
from trl import ModelConfig, TrlParser, get_peft_config, get_quantization_config

from stepforge.train.card import write_card
from stepforge.train.release import Release, ReleaseError, open_release
from stepforge.train.tokens import load_tokenizer

Encode = Callable[[dict[str, Any]], dict[str, Any]]


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
class Run:
    """One training: its arguments (of the script, of the trainer, of the model), release and tokenizer."""

    method: str
    script: Any
    training: Any
    model: ModelConfig
    release: Release
    tokenizer: PreTrainedTokenizerBase

    def rows(
        self, columns: Mapping[str, str], encode: Encode, keep: Callable[[Dataset], Dataset] = lambda rows: rows
    ) -> tuple[Dataset, Dataset | None]:
        """Encoded rows to train on and, where --eval_split names one, to evaluate on. `keep` chooses among rows."""
        train = self.at_most(keep(self.release.rows(self.script.dataset_config, self.script.train_split, columns)))
        encoded = self._encoded(train, encode, self.script.train_split)
        if self.script.eval_split is None:
            return encoded, None
        evaluation = keep(self.release.rows(self.script.dataset_config, self.script.eval_split, columns))
        return encoded, self._encoded(evaluation, encode, self.script.eval_split)

    def at_most(self, rows: Dataset) -> Dataset:
        """All rows, or --max_rows of them, drawn by --seed."""
        if self.script.max_rows is None:
            return rows
        return rows.shuffle(seed=self.training.seed).select(range(min(self.script.max_rows, len(rows))))

    def _encoded(self, rows: Dataset, encode: Encode, split: str) -> Dataset:
        """Token columns of `rows`; those longer than --max_length (their column `length`) are dropped and told.

        TRL would cut them, which takes a solution's end away and nothing tells. ReleaseError if none is left.
        """
        limit, what = self.training.max_length, f"{self.script.dataset_config}/{split}"
        with self.training.main_process_first(desc=f"encode {what}"):
            found = rows.map(encode, remove_columns=rows.column_names, desc=f"Encoding {what}")
            kept = found.filter(lambda length: limit is None or length <= limit, input_columns="length")
        if len(kept) == 0:
            raise ReleaseError(f"every row of {what} is longer than --max_length {limit} (the longest has "
                               f"{max(found['length'])} tokens); raise it")
        say(f"{what}: {len(rows)} rows in, {len(kept)} kept, {len(rows) - len(kept)} dropped as longer than "
            f"--max_length {limit}")
        return kept.remove_columns("length")

    def trainer(self, kind: type[Trainer], train: Dataset, evaluation: Dataset | None, **more: Any) -> Trainer:
        """One of TRL's trainers of a causal model, with adapters or quantisation as the model's arguments say.

        Raises ReleaseError for a model that cannot be loaded and for settings that the trainer refuses.
        """
        try:
            return kind(
                model=self.model.model_name_or_path, args=self.training, train_dataset=train, eval_dataset=evaluation,
                processing_class=self.tokenizer, peft_config=get_peft_config(self.model),
                quantization_config=get_quantization_config(self.model), **more)
        except (ValueError, OSError, ImportError) as error:
            raise ReleaseError(str(error)) from error

    def fit(self, trainer: Trainer) -> None:
        """Train, or go on from a checkpoint; then save the model, its tokenizer, its card and a record.

        `--resume_from_checkpoint last` takes the newest checkpoint of --output_dir, and starts afresh without one.
        """
        args = self.training
        checkpoint = args.resume_from_checkpoint
        if checkpoint == "last":
            checkpoint = get_last_checkpoint(args.output_dir) if Path(args.output_dir).is_dir() else None
        trainer.train(resume_from_checkpoint=checkpoint)
        trainer.save_model(args.output_dir)
        trainer.save_state()
        if trainer.is_world_process_zero():
            write_card(Path(args.output_dir), self.record(trainer))
        if args.push_to_hub:
            trainer.push_to_hub(dataset_name=self.release.name)
        end(trainer)
        say(f"model, card and record of the training: {args.output_dir}")

    def record(self, trainer: Trainer) -> dict[str, Any]:
        """What a card or a later comparison needs; it holds no token."""
        args = self.training
        names = ("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length", "beta",
                 "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps", "weight_decay", "bf16", "seed")
        script = {name: value for name, value in vars(self.script).items() if value is not None}
        return {
            "method": self.method,
            "base_model": self.model.model_name_or_path,
            "dataset": self.release.name,
            "revision": self.release.revision,
            "dataset_config": self.script.dataset_config,
            "on_hub": self.release.folder is None,
            "rows": len(trainer.train_dataset),
            "steps": trainer.state.global_step,
            "flops": trainer.state.total_flos,
            "processes": args.world_size,
            "settings": script | {name: getattr(args, name) for name in names if hasattr(args, name)},
            "recipe": self.release.manifest.get("recipe", {}),
            "packages": {name: version(name) for name in ("stepforge", "torch", "transformers", "trl", "datasets")},
            "log": trainer.state.log_history,
        }


def end(trainer: Trainer) -> None:
    """Leave the process group: without that a launched process does not end.

    What wraps the model for several processes goes first. If it goes last, it takes the group with it while it holds
    the interpreter's lock, and a thread of Gloo's that it waits for may need that lock: a deadlock, now and then.
    """
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()
    trainer.end()


def start(method: str, argv: list[str] | None, arguments: type, training: type, config: str) -> Run:
    """Parse the command line, and open the release and the tokenizer that it names.

    Raises ReleaseError for what cannot be used.
    """
    script, args, model = parse(method, argv, arguments, training)
    for name, value in (("dataset", script.dataset), ("model_name_or_path", model.model_name_or_path)):
        if not value:
            raise ReleaseError(f"--{name} is needed, here or in the file of --config")
    args.model_init_kwargs = {"revision": model.model_revision, "dtype": model.dtype,
                              "attn_implementation": model.attn_implementation, **(args.model_init_kwargs or {})}
    release = open_release(script.dataset, script.revision)
    if script.dataset_config is None:
        script.dataset_config = config
    tokenizer = load_tokenizer(model.model_name_or_path, model.model_revision)
    return Run(method, script, args, model, release, tokenizer)


def parse(method: str, argv: list[str] | None, arguments: type, training: type) -> tuple[Any, Any, ModelConfig]:
    """Arguments of the script, the trainer and the model, from `--config FILE` and, before it, the command line.

    Mixed precision is on only where the hardware has it: TRL would set bf16 on a CPU too. Raises ReleaseError.
    """
    parser = TrlParser((arguments, training, ModelConfig), prog=f"stepforge train {method}")
    parser.set_defaults(bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    try:
        return parser.parse_args_and_config(argv)
    except (ValueError, OSError) as error:
        raise ReleaseError(f"{error}; `stepforge train {method} --help` lists every option") from error


def chosen_by(column: str, value: str) -> Callable[[Dataset], Dataset]:
    """A `keep` for `Run.rows`: the rows whose `column` is `value`; ReleaseError naming the values that there are."""

    def keep(rows: Dataset) -> Dataset:
        counts = Counter(rows[column])
        if not counts[value]:
            raise ReleaseError(f"no row has {column} {value!r}; there are {dict(counts)}: choose with --{column}")
        return rows.filter(lambda found: found == value, input_columns=column)

    return keep


@contextmanager
def user_errors(method: str) -> Iterator[None]:
    """A mistake of the user's becomes one message on standard error and exit code 2; a bug keeps its traceback."""
    try:
        yield
    except ReleaseError as error:
        sys.stderr.write(f"stepforge train {method}: {error}\n")
        raise SystemExit(2) from None


def say(message: str) -> None:
    """One line on standard error, from the first process only."""
    if int(os.environ.get("RANK", "0")) == 0:
        sys.stderr.write(message + "\n")
